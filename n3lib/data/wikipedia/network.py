"""The API of Wikipedia, asked as its operators wish."""

import httpx
import wikipediaapi

from n3lib.data.fetch.retries import Passing, check_status, retrying
from n3lib.io import N3Error

API = httpx.URL("https://en.wikipedia.org/w/api.php")
# One request for everything about an article. `maxlag` asks to be turned away when the servers are behind.
_PARAMETERS = {
    "prop": "info|extracts|pageprops",
    "inprop": "url",
    "ppprop": "disambiguation",
    "explaintext": 1,
    "exsectionformat": "wiki",
    "maxlag": 5,
}
_PASSING = ("maxlag", "ratelimited", "readonly", "internal_api_error")


class Courteous(httpx.BaseTransport):
    """Asks `API`, one request at a time, and again if the answer was only for now."""

    def __init__(self) -> None:
        # A client, not a bare transport: it knows the proxies of the environment.
        self._client = httpx.Client(timeout=30, follow_redirects=True)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        retry = retrying(f"{API.host} cannot be asked", "what was collected")
        return retry(self._ask, request.url.query, request.headers["User-Agent"])

    def _ask(self, query: bytes, agent: str) -> httpx.Response:
        """One request; what may pass is a `Passing` or an error of the transport."""
        response = self._client.get(API.copy_with(query=query), headers={"User-Agent": agent})
        check_status(response)
        if response.status_code != 200:
            what = f"{API.host} refuses to answer ({response.status_code})"
            raise N3Error(what, "Give a contact address if there is none")
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Passing("its answer is no JSON object", response.headers.get("Retry-After", ""))
        if (error := answer.get("error")) is not None:
            error = error if isinstance(error, dict) else {}
            what = f"{error.get('code', '')}: {error.get('info', '')}"
            if what.startswith(_PASSING):
                raise Passing(what, response.headers.get("Retry-After", ""))
            raise N3Error(f"{API.host} refuses to answer ({what})", "Check the titles")
        return httpx.Response(200, content=response.content)

    def close(self) -> None:
        self._client.close()


def make_client(transport: httpx.BaseTransport, contact: str) -> wikipediaapi.Wikipedia:
    if not contact.isprintable() or not contact.isascii():
        raise N3Error(f"contact {contact!r} is no address", "Give an e-mail address or a web page")
    agent = f"n3lib ({contact})" if contact else "n3lib"
    # The transport tries again, for more kinds of failure than the library does.
    return wikipediaapi.Wikipedia(
        agent, "en", extra_api_params=_PARAMETERS, max_retries=0, transport=transport
    )
