"""The labelling pages in a cell of a notebook."""

import html
import json
import os
import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from peculiar.catalogs.catalog import Catalog
from peculiar.errors import UsageError
from peculiar.labelling.web.guard import NOTEBOOKS
from peculiar.labelling.web.serve import hub_advice, ready
from peculiar.sources import Paths


class Desk:
    """Labelling pages that are served in the background; a notebook shows them in the cell.

    Parameters
    ----------
    address : str
        With the token.
    height : int
        Of the frame in the cell, in pixels.
    stop : callable
        Ends the server.

    Examples
    --------
    >>> import peculiar
    >>> with peculiar.open_desk("pictures", question="odd", db="answers.db") as desk:  # doctest: +SKIP
    ...     print(desk.address)
    """

    def __init__(self, address: str, height: int, stop: Callable[[], None]) -> None:
        self.address, self.height, self._stop = address, height, stop

    def __enter__(self) -> "Desk":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self.close()

    def close(self) -> None:
        """Stop serving; all answers are already on the disk."""
        self._stop()

    def __repr__(self) -> str:
        """Return the address."""
        return f"Labelling pages at {self.address}; close() stops them"

    def _repr_html_(self) -> str:
        name, address = f"desk-{secrets.token_hex(4)}", html.escape(self.address)
        # Browsers send the cookie in a frame only if notebook and pages are under one host name.
        place = json.dumps(self.address).replace("<", "\\u003c")
        script = (
            f"(f => {{ if (location.hostname === 'localhost') {{ f.src = {place}"
            f".replace('//127.0.0.1:', '//localhost:'); }} }})(document.getElementById('{name}'))"
        )
        return (
            f'<iframe id="{name}" src="{address}" width="100%" height="{self.height}" title="Labelling pages" '
            f'style="border:1px solid #8884;border-radius:6px"></iframe><script>{script}</script>'
            f'<p><a href="{address}" target="_blank" rel="noopener">Open in a tab</a></p>'
        )


def open_desk(
    data: Paths | Catalog,
    *,
    page: str = "",
    height: int = 860,
    url: str | None = None,
    port: int = 0,
    **options: Any,
) -> Desk:
    """Serve the labelling pages in the background, and show them in the cell of a notebook.

    Parameters
    ----------
    data : path-like, sequence of path-like, or Catalog
        As for `label`.
    page : str
        The page to begin with: "" for one galaxy after the other, "grid", "gallery", "map" or another one.
    height : int
        Of the frame in the cell, in pixels.
    url : str, optional
        Address under which a proxy shows the pages, as for `label`. On a JupyterHub that tells its public address it
        is known.
    port : int
        0 for any free port.
    **options
        Further options of `label`, except `browser` and `on_ready`.

    Returns
    -------
    Desk

    Raises
    ------
    UsageError
        As for `label`; or on a JupyterHub whose public address is not known and not given by `url`.

    Examples
    --------
    >>> import peculiar
    >>> desk = peculiar.open_desk("pictures", question="odd", db="answers.db")  # doctest: +SKIP
    >>> desk.close()  # doctest: +SKIP
    """
    stack = ExitStack()
    public = url or (lambda number: hub_url(os.environ, number))
    found = stack.enter_context(ready(data, url=public, port=port, frames=NOTEBOOKS, **options))
    thread = threading.Thread(target=found.server.run, args=([found.listening],), name="server", daemon=True)
    thread.start()

    def stop() -> None:
        found.server.should_exit = True
        thread.join(10)
        stack.close()

    start, _, token = found.address.partition("?")
    return Desk(f"{start}{page.lstrip('/')}" + (f"?{token}" if token else ""), height, stop)


def hub_url(variables: Mapping[str, str], port: int) -> str | None:
    """Return the address of a port behind jupyter-server-proxy; None outside a JupyterHub.

    Raises
    ------
    UsageError
        If the public address of the hub is not known.
    """
    advice = hub_advice(variables, port)
    if not advice:
        return None
    public = variables.get("JUPYTERHUB_PUBLIC_URL", "").rstrip("/")
    if not public:
        path = variables["JUPYTERHUB_SERVICE_PREFIX"].rstrip("/")
        message = (
            "this is a JupyterHub whose address is not known here; give the one that the browser shows, as in "
            f"port=8222, url='https://HUB{path}/proxy/8222/', with the host of the hub for HUB"
        )
        raise UsageError(message)
    return f"{public}/proxy/{port}/"
