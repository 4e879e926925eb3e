"""Downloading one file: several addresses, bounded retries, every failure told.

Addresses are http and https, and a folder or base URL that mirrors them (`<host>/<path>`). Bytes go
to a temporary name and are installed only after the caller's check. A cut connection starts again
from the first byte: nothing is resumed, so a server that ignores ranges does no harm.
"""

import contextlib
import http.client
import logging
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from distilro.artifacts import write_atomically
from distilro.errors import DataError, IntegrityError, SettingsError

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 18
_SERVER_ERROR = 500
_TOO_MANY_REQUESTS = 429
_SCHEMES = ("http", "https")


@dataclass(frozen=True)
class Retries:
    """How often each address is tried, and how long one waits before the next try.

    The n-th wait takes `first_delay_seconds * 2 ** (n - 1)`.
    """

    attempts: int = 3
    first_delay_seconds: float = 1.0
    timeout_seconds: float = 30.0


class _PassingError(Exception):
    """A failure that another try may mend."""


class _LastingError(Exception):
    """A failure that would come back."""


def list_addresses(urls: list[str], mirror: str | None) -> list[str]:
    """Return where a file may be had, the mirror first.

    Args:
        urls: its own addresses in their order.
        mirror: a folder or a base URL that holds `<host>/<path>`, or None.

    >>> list_addresses(["https://a.org/b%20c"], "/m")
    ['/m/a.org/b c', 'https://a.org/b%20c']
    """
    if not mirror:
        return list(urls)
    mirrored = []
    for url in urls:
        parts = urllib.parse.urlsplit(url)
        if urllib.parse.urlsplit(mirror).scheme in _SCHEMES:
            mirrored.append(f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}")
        else:
            folder = urllib.parse.unquote(mirror.removeprefix("file://"))
            mirrored.append(
                f"{folder.rstrip('/')}/{parts.netloc}{urllib.parse.unquote(parts.path)}"
            )
    return mirrored + list(urls)


def download(
    addresses: list[str],
    target: Path,
    check: Callable[[Path], None],
    *,
    limit_bytes: int | None = None,
    retries: Retries = Retries(),
) -> None:
    """Install at `target` the first address' bytes that `check` accepts.

    Args:
        addresses: http and https URLs and plain paths, in order.
        target: where the file goes; what stands there is replaced only by an accepted file.
        check: raises IntegrityError where a file is not the expected one.
        limit_bytes: the most bytes that are read, None for no limit.
        retries: for failures that may pass.

    Raises:
        IntegrityError: other bytes than expected came, and nothing better.
        DataError: no address gave any bytes.
    """
    failures = []
    integrity = False
    for address in addresses:
        try:
            _try_address(address, target, check, limit_bytes, retries)
        except (_LastingError, IntegrityError) as error:
            integrity = integrity or isinstance(error, IntegrityError)
            logger.info("%s: %s", address, error)
            failures.append(f"  {address}: {error}")
        else:
            return
    kind = IntegrityError if integrity else DataError
    raise kind(
        f"{target.name} could not be fetched; each address and its reason:\n"
        + "\n".join(failures)
        + "\nWhat came was deleted, nothing was installed. Set DISTILRO_MIRROR to a folder or URL "
        "that holds the files, or, where upstream changed, review it and correct the registry."
    )


def _try_address(
    address: str,
    target: Path,
    check: Callable[[Path], None],
    limit_bytes: int | None,
    retries: Retries,
) -> None:
    for attempt in range(1, retries.attempts + 1):
        try:
            with write_atomically(target) as temporary:
                _copy(address, temporary, limit_bytes, retries.timeout_seconds)
                check(temporary)
        except _PassingError as error:
            if attempt == retries.attempts:
                raise _LastingError(f"{error} (tried {attempt} times)") from None
            time.sleep(retries.first_delay_seconds * 2 ** (attempt - 1))
        else:
            return


def _copy(address: str, temporary: Path, limit_bytes: int | None, timeout_seconds: float) -> None:
    with _open(address, timeout_seconds) as (source, length), temporary.open("wb") as file:
        name = urllib.parse.unquote(address.rsplit("/", 1)[-1])
        got = 0
        # subtle: the bar is silent where standard error is not a terminal.
        with tqdm(total=length, unit="B", unit_scale=True, desc=name, disable=None) as bar:
            while chunk := source.read(_CHUNK_BYTES):
                got += len(chunk)
                if limit_bytes is not None and got > limit_bytes:
                    raise IntegrityError(f"expected {limit_bytes} bytes, got more")
                file.write(chunk)
                bar.update(len(chunk))
    if length is not None and got < length:
        raise _PassingError(f"the connection was cut: got {got} of {length} bytes")


@contextlib.contextmanager
def _open(address: str, timeout_seconds: float) -> Iterator[tuple[BinaryIO, int | None]]:
    """Yield a stream and its length in bytes, None where the server does not say."""
    scheme = urllib.parse.urlsplit(address).scheme
    if scheme not in _SCHEMES:
        if "://" in address:
            raise SettingsError(f"{address}: expected http, https or a folder, got {scheme}.")
        path = Path(address)
        if not path.is_file():
            raise _LastingError("no such file")
        with path.open("rb") as file:
            yield file, path.stat().st_size
        return
    request = urllib.request.Request(address, headers={"User-Agent": "distilro"})  # noqa: S310
    try:
        with _OPENER.open(request, timeout=timeout_seconds) as response:
            length = response.headers.get("Content-Length", "")
            yield response, int(length) if length.isdecimal() else None
    except urllib.error.HTTPError as error:
        passing = error.code >= _SERVER_ERROR or error.code == _TOO_MANY_REQUESTS
        kind = _PassingError if passing else _LastingError
        raise kind(f"HTTP {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise _PassingError(f"{error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        raise _PassingError(f"{type(error).__name__}: {error}") from None


class _PlainRedirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects to http and https only."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: BinaryIO,
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the next request, or refuse the redirect."""
        if urllib.parse.urlsplit(newurl).scheme not in _SCHEMES:
            raise _LastingError(f"refused a redirect to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _build_opener() -> urllib.request.OpenerDirector:
    """Build an opener that knows http and https and nothing else: no file, no ftp."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _PlainRedirects(),
    ):
        opener.add_handler(handler)
    return opener


_OPENER = _build_opener()
