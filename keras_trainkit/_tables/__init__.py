"""A table as arrays for a network: columns read, learned, encoded.

The files in the order in which `layers.TableEncoder` uses them:

| file             | content                                                           |
| ---------------- | ----------------------------------------------------------------- |
| `columns`        | tables in chunks; any type of column read as one NumPy array      |
| `objects`        | columns of Python objects: which counts as what                   |
| `kinds`          | numeric, boolean, categorical, datetime; values as a kind         |
| `notation`       | numbers, datetimes and booleans written as texts                  |
| `recognition`    | the notation of a column, recognized from its different texts     |
| `learning`       | `adapt`: the state of each column, from chunks of rows            |
| `column_learner` | the state of one column, from any portions of its rows            |
| `levels`         | categories: which there may be, and what is odd about them        |
| `text_counts`    | different texts of a column, counted while it is learned          |
| `column_state`   | what was learned of a column, and its check when read from a file |
| `encoding`       | a call: missing values filled, numbers scaled, levels as codes    |
| `summary`        | the states as a table of text                                     |

`number_statistics` has what is learned of numbers. `numbers` is apart: one array of
them, as `adapt` of the other layers takes it.
"""
