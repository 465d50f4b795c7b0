"""Columns of tables as plain NumPy arrays: `reading` tells the types apart, `objects`
reads columns of Python objects, `column` is the form that both give, and `numbers`
makes one array of columns, or of objects, that are numbers."""
