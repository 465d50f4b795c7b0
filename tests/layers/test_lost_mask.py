"""A warning where padding would be read as data, and none where it would not."""

import warnings

import keras
import pytest

from keras_trainkit import layers

each = pytest.mark.parametrize(
    "make",
    [
        lambda: layers.AttentionPooling(),
        lambda: layers.AttentionPooling(query="learned"),
        lambda: layers.MultiScale(),
        lambda: layers.MultiScale(join=False),
        lambda: layers.MaskedConv1D(2, 3),
        lambda: layers.SequenceMean(),
        lambda: layers.LastSteps(2),
        lambda: layers.PiecewiseMean(2),
        lambda: layers.MiniRocket(2, num_steps=30),
    ],
)


def masked(steps=None):
    return keras.layers.Masking(name="gaps")(keras.Input((steps, 3)))


class Plain(keras.layers.LSTM):
    """A recurrent layer that hands on no mask, as Keras' from 3.16 on."""

    def compute_mask(self, sequences, mask):
        return None


@each
@pytest.mark.parametrize("steps", [5, None])
def test_a_mask_that_a_layer_in_between_lost_is_missed(make, steps):
    x = Plain(2, return_sequences=True, name="loses")(masked(steps))
    x = keras.layers.Dense(4, name="later")(x)
    with pytest.warns(UserWarning, match="'gaps' were masked, but 'later' .*mask="):
        make()(x)


@each
def test_an_operation_in_between_loses_it_too(make):
    with pytest.warns(UserWarning, match="hands on no mask.*VariationalLSTM"):
        make()(2 * masked())


def test_a_query_beside_the_sequence_changes_nothing():
    x = Plain(2, return_sequences=True)(masked())
    with pytest.warns(UserWarning, match="hands on no mask"):
        layers.AttentionPooling()([x, keras.Input((4,))])


@each
def test_no_warning_where_the_mask_arrives_or_is_given_or_there_was_none(make):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make()(layers.VariationalLSTM(2, return_sequences=True)(masked()))
        make()(2 * masked(), mask=keras.Input((None,), dtype="bool"))
        make()(keras.layers.LSTM(2, return_sequences=True)(keras.Input((5, 3))))


@each
def test_no_warning_where_the_steps_were_pooled_before(make):
    pooled = layers.AttentionPooling(query="learned")(masked(5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make()(keras.layers.RepeatVector(5)(pooled))
