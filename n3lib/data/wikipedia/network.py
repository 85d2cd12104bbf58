"""The API of Wikipedia, asked as its operators wish."""

import httpx
import wikipediaapi

from n3lib.data.fetch.retries import Passing, check_address, retrying
from n3lib.io.errors import N3Error

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
    """Asks one address, one request at a time, and again if the answer was only for now."""

    def __init__(self, api: str) -> None:
        self._api = check_address(api, "Give the address of an api.php")
        # A client, not a bare transport: it knows the proxies of the environment.
        self._client = httpx.Client(timeout=30, follow_redirects=True)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        retry = retrying(f"{self._api.host} cannot be asked", "what was collected")
        return retry(self._ask, request.url.query, request.headers["User-Agent"])

    def _ask(self, query: bytes, agent: str) -> httpx.Response:
        """One request; what may pass is a `Passing` or an error of the transport."""
        refusal = f"{self._api.host} refuses to answer"
        response = self._client.get(self._api.copy_with(query=query), headers={"User-Agent": agent})
        status, retry_after = response.status_code, response.headers.get("Retry-After", "")
        if status == 429 or status >= 500:
            raise Passing(f"it says {status}", retry_after)
        if status != 200:
            remedy = "Give a contact address if there is none, and check the address"
            raise N3Error(f"{refusal} ({status})", remedy)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Passing("its answer is no JSON object", retry_after)
        if (error := answer.get("error")) is not None:
            error = error if isinstance(error, dict) else {}
            code, info = str(error.get("code", "")), str(error.get("info", ""))
            if code.startswith(_PASSING):
                raise Passing(f"{code}: {info}", retry_after)
            raise N3Error(f"{refusal} ({code}: {info})", "Check the titles and the address")
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
