"""Arrays before they meet the model."""

from keras_trainkit.data.back_translation import back_translation
from keras_trainkit.data.folds import Fold, folds
from keras_trainkit.data.mixup import mixup
from keras_trainkit.data.pad_sequences import pad_sequences
from keras_trainkit.data.sequence_batches import SequenceBatches
from keras_trainkit.data.shuffle_sentences import shuffle_sentences
from keras_trainkit.data.split import Split, split
from keras_trainkit.data.synonym_replacement import synonym_replacement
from keras_trainkit.data.table_batches import TableBatches
from keras_trainkit.data.word_vectors import word_vectors

__all__ = [
    "Fold",
    "SequenceBatches",
    "Split",
    "TableBatches",
    "back_translation",
    "folds",
    "mixup",
    "pad_sequences",
    "shuffle_sentences",
    "split",
    "synonym_replacement",
    "word_vectors",
]
