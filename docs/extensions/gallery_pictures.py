"""Pictures of a gallery page: the files that its script has written into `folder`."""

import shutil

from sphinx_gallery.scrapers import figure_rst


def pictures_of(block, block_vars, gallery_conf):
    folder = block_vars["example_globals"].get("folder")
    taken = block_vars["example_globals"].setdefault("_pictures", set())
    paths = []
    if folder is not None:
        written = sorted(folder.rglob("*.png"), key=lambda file: file.stat().st_mtime)
        for file in written:
            if file not in taken:
                taken.add(file)
                paths.append(next(block_vars["image_path_iterator"]))
                shutil.copy(file, paths[-1])
    return figure_rst(paths, gallery_conf["src_dir"])
