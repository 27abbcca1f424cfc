"""A SAML identity provider on pysaml2 (Debian package python3-pysaml2), which shares nothing with the gateway.

Arguments: its own address is free; key, certificate, and a file that the service provider's metadata are in once the
first request comes. Prints its port. Asks who one is, and posts the answer to the service provider.
"""

import base64
import html
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.authn_context import PASSWORD
from saml2.config import IdPConfig
from saml2.saml import NAMEID_FORMAT_PERSISTENT, NAME_FORMAT_BASIC, NameID
from saml2.server import Server
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

key, certificate, metadata = sys.argv[1:4]
people = {
    "cam": {"email": "cam@example.com", "name": "Cam", "groups": ["security"]},
    "bo": {"email": "bo@example.com", "name": "Bo", "groups": ["platform"]},
    "ana": {"email": "ana@example.com", "name": "Ana", "groups": ["sre"]},
}


def open_server(address):
    with open(metadata, encoding="utf-8") as file:
        provider = file.read()
    return Server(
        config=IdPConfig().load(
            {
                "entityid": f"{address}/metadata",
                "service": {
                    "idp": {
                        "endpoints": {"single_sign_on_service": [(f"{address}/sso", BINDING_HTTP_REDIRECT)]},
                        "policy": {
                            "default": {
                                "lifetime": {"minutes": 5},
                                "attribute_restrictions": None,
                                "name_form": NAME_FORMAT_BASIC,
                            }
                        },
                        "subject_data": ("dict", {}),
                    }
                },
                "key_file": key,
                "cert_file": certificate,
                "metadata": {"inline": [provider]},
                "xmlsec_binary": "/usr/bin/xmlsec1",
            }
        )
    )


def page(text):
    return f"<!doctype html><title>Practice SAML</title><main><h1>Who are you?</h1>{text}</main>".encode()


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, body, status=200):
        self.send_response(status)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        if url.path != "/sso":
            return self.answer(page("not here"), 404)
        query = urllib.parse.parse_qs(url.query)
        request = html.escape(query.get("SAMLRequest", [""])[0])
        buttons = "".join(f'<button name="person" value="{each}">{each}</button>' for each in people)
        self.answer(page(f'<form method="post" action="/sso"><input type="hidden" name="request" value="{request}">{buttons}</form>'))

    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        form = urllib.parse.parse_qs(self.rfile.read(length).decode())
        who = form["person"][0]
        idp = open_server(f"http://127.0.0.1:{self.server.server_port}")
        asked = idp.parse_authn_request(form["request"][0], BINDING_HTTP_REDIRECT)
        where = idp.response_args(asked.message)
        answer = idp.create_authn_response(
            people[who],
            in_response_to=where["in_response_to"],
            destination=where["destination"],
            sp_entity_id=where["sp_entity_id"],
            name_id=NameID(format=NAMEID_FORMAT_PERSISTENT, text=f"saml-{who}"),
            authn={"class_ref": PASSWORD, "authn_auth": "practice"},
            sign_assertion=True,
            sign_response=True,
            sign_alg=SIG_RSA_SHA256,
            digest_alg=DIGEST_SHA256,
        )
        encoded = base64.b64encode(str(answer).encode()).decode()
        self.answer(
            page(
                f'<form method="post" action="{html.escape(where["destination"])}">'
                f'<input type="hidden" name="SAMLResponse" value="{encoded}"><button>Continue</button></form>'
            )
        )


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
