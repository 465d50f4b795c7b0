import pandas as pd
import pytest

from keras_trainkit._row_labels import check_columns_in_order, check_row_order

pytestmark = pytest.mark.backend_free

TABLE = pd.DataFrame({"a": [1, 2, 3]}, index=["u", "v", "w"])


@pytest.mark.parametrize(
    "library", [pd.Series, lambda y, index: pd.DataFrame(y, index)]
)
def test_labels_of_the_table_in_another_order_are_refused(library):
    with pytest.raises(
        ValueError, match=r"^`y` belongs .*by position.*\.loc\[X.index\]"
    ):
        check_row_order("y", library([1, 2, 3], index=["w", "u", "v"]), TABLE)


@pytest.mark.parametrize("index", [list("uvw"), list("klm"), list("uuv"), [0, 1, 2]])
def test_labels_that_name_other_rows_pass(index):
    check_row_order("y", pd.Series([1, 2, 3], index=index), TABLE)


def test_values_and_tables_without_labels_pass():
    check_row_order("y", [1, 2, 3], TABLE)
    check_row_order("y", pd.Series([1, 2, 3]), {"a": [1, 2, 3]})
    check_row_order("y", pd.Series([1, 2], index=[1, 0]), [[1], [2]])


def test_a_dict_of_columns_has_the_labels_of_its_first_column_with_labels():
    columns = {"plain": [1, 2, 3], "a": TABLE["a"]}
    other = pd.Series([1, 2, 3], index=["w", "u", "v"])
    with pytest.raises(ValueError, match=r"`y\.loc\[x\['a'\]\.index\]` brings"):
        check_row_order("y", other, columns, "x")
    with pytest.raises(ValueError, match=r"^`y\['of'\]` belongs to the rows of `x`"):
        check_row_order("y", {"of": other}, columns, "x")


def test_columns_in_other_orders_are_refused():
    other = pd.Series([1, 2, 3], index=["w", "u", "v"])
    words = r"^The table must .*one order.*labels of \['a'\] in another order in 'b'"
    with pytest.raises(ValueError, match=words):
        check_columns_in_order({"a": TABLE["a"], "b": other}, "The table")
    check_columns_in_order({"a": TABLE["a"], "b": other.to_numpy()}, "The table")
    check_columns_in_order({"a": TABLE["a"], "b": other.sort_index()}, "The table")
