"""State of a training at one moment, taken and put back, and its files.

In the order of use: `running_fit` finds the callbacks and the data beside a callback;
`owner` keeps other processes out of the folder; `variables`, `random_states`,
`callback_states` and `data_order` take parts of a training as plain values and put them
back, `parts` does so with all of them; `state_file` writes plain values, `generations`
keeps the last few of them whole, `writer` does so beside the training, `state_folder`
is all of it for one `fit`, and `first_process` gives the state to all processes that
train together. `skipped_batches` reads over what was trained on, and `termination`
notes a SIGTERM.
"""
