from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

LAZY = (
    "medseg.inference.classification",
    "medseg.inference.nnunet",
    "medseg.networks",
    "medseg.networks.classification",
    "medseg.preprocess.nnunet",
    "medseg.preprocess.segmentation",
    "medseg.training",
)


@pytest.mark.parametrize("package", LAZY)
def test_every_name_that_a_package_offers_can_be_asked_for(package: str) -> None:
    module = import_module(package)
    assert module.__all__
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.parametrize("package", LAZY)
def test_no_name_is_that_of_a_module_which_would_take_its_place(package: str) -> None:
    module = import_module(package)
    folder = Path(str(module.__file__)).parent
    assert not {found.name for found in iter_modules([str(folder)])} & set(module.__all__)


@pytest.mark.parametrize("package", LAZY)
def test_name_that_a_package_does_not_offer_is_refused(package: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Encodre'"):
        _ = import_module(package).Encodre
    with pytest.raises(ImportError, match="cannot import name 'Encodre'"):
        exec(f"from {package} import Encodre")  # noqa: S102 (fixed text)
