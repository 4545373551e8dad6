import numpy as np
import pytest

from sakuga import BadOption, Reply


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_pixels_are_an_array_that_shares_the_results_memory(dtype: str) -> None:
    expected = np.arange(24, dtype=dtype).reshape(1, 2, 3, 4) * 10
    result = expected.astype(np.dtype(dtype).newbyteorder("<")).tobytes()
    found = Reply(result, {"output": {"shape": [1, 2, 3, 4], "dtype": dtype}}).pixels
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected)
    assert np.shares_memory(found, np.frombuffer(result, np.uint8))


@pytest.mark.parametrize("report", [{"output": {"format": "png"}}, {"action": "upscale"}])
def test_an_encoded_file_has_no_pixels_yet(report: dict[str, object]) -> None:
    with pytest.raises(BadOption, match="format: raw"):
        _ = Reply(b"\x89PNG", report).pixels
