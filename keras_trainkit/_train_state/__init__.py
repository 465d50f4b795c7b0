"""State of a training at one moment, taken and put back, and its files.

In the order of use: `running_fit` finds the callbacks and the data beside a callback;
`owner` keeps other processes out of the folder; `variables`, `random_states` and
`callback_states` take parts of a training as plain values and put them back;
`state_file` writes plain values, `generations` keeps the last few of them whole,
`writer` does so beside the training, and `first_process` gives them to all processes
that train together.
"""
