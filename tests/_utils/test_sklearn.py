"""`_fit_context`: a fit that fails leaves the estimator as it was."""

import pytest
from sklearn.base import BaseEstimator

from skaudio._utils._sklearn import _fit_context


class Toy(BaseEstimator):
    _parameter_constraints = {"error": [type, None]}

    def __init__(self, error=None):
        self.error = error

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X):
        self.seen_ = X
        if self.error is not None:
            self.other_ = X
            raise self.error
        return self


@pytest.mark.parametrize("error", [ValueError, MemoryError, KeyboardInterrupt])
def test_second_fit_that_fails(error):
    toy = Toy().fit("first")
    toy.set_params(error=error)
    with pytest.raises(error):
        toy.fit("second")
    assert vars(toy) == {"error": error, "seen_": "first"}


def test_first_fit_that_fails_leaves_nothing():
    toy = Toy(error=MemoryError)
    with pytest.raises(MemoryError):
        toy.fit("first")
    assert vars(toy) == {"error": MemoryError}
