"""What is decoded in tests is kept in a folder of theirs; Ray's token is theirs too, not the user's."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest

os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else ~/.ray/auth_token is made


@pytest.fixture(autouse=True, scope="session")
def cache_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
