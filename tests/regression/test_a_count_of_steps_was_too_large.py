"""A snapshot could say that a stream had made more steps than fit into 64 bits, which ended in an OverflowError."""

import pytest
from tests.unit.runtime.networks import of_numbers

from ostinato.errors import SnapshotError
from ostinato.runtime.snapshot import pack, unpack


@pytest.mark.parametrize("steps", [2**62, 2**63, 2**64, -1, 1.0, True])
def test_it_is_refused(steps: object) -> None:
    model = of_numbers()
    with model.stream() as stream:
        blob = stream.snapshot()
        key = model.stepping.network.model
        _, arrays = unpack(blob, key, "network")
        assert model.stream(pack(key, "network", {"steps": 2**62 - 1}, arrays)).steps == 2**62 - 1
        with pytest.raises(SnapshotError) as caught:
            model.stream(pack(key, "network", {"steps": steps}, arrays))  # type: ignore[dict-item]
    assert caught.value.code == "damaged"
