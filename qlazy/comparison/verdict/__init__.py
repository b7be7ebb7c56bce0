"""What a comparison says in words: which models are lazy, from which scale, by which of the three metrics.

Each metric has a geometric mean over the seeds and a 95 % interval, Student's of the logarithms. It is lazy at a
scale where the whole interval is at most :data:`SMALL`, not lazy where all of it is above, and undecided where the
interval holds the threshold, or where there is one seed. Lazy from a scale means lazy there and at every larger
scale that was tried: the three metrics are told apart, because each can be small without the others.
"""

from qlazy.comparison.verdict.accuracies import Accuracies
from qlazy.comparison.verdict.comparing import Verdicts, unread_sentences, verdicts
from qlazy.comparison.verdict.decisions import METRICS, SMALL, Decision
from qlazy.comparison.verdict.sentences import LazyVerdict
from qlazy.comparison.verdict.summary import summary_table

__all__ = [
    "METRICS",
    "SMALL",
    "Accuracies",
    "Decision",
    "LazyVerdict",
    "Verdicts",
    "summary_table",
    "unread_sentences",
    "verdicts",
]
