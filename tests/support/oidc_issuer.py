#!/usr/bin/env python3
"""An OpenID Connect issuer for tests, over TLS on a free port of loopback, and the forger of its tokens. Python's own library and openssl(1) alone.

usage: oidc_issuer.py serve DIR            DIR: tls.pem tls.key rsa.key ec.key; writes DIR/port, notes each request in DIR/requests
       oidc_issuer.py mint DIR KIND [CLAIM=VALUE...]    prints a token; VALUE is JSON, or text; an empty one removes the claim
"""
import base64, hashlib, hmac, http.server, json, pathlib, ssl, subprocess, sys, time


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def openssl(*words, data=b""):
    return subprocess.run(["openssl", *words], input=data, capture_output=True, check=True).stdout


def key_set(folder):
    modulus = bytes.fromhex(openssl("rsa", "-in", f"{folder}/rsa.key", "-noout", "-modulus").decode().split("=")[1].strip())
    point = openssl("pkey", "-in", f"{folder}/ec.key", "-pubout", "-outform", "DER")[-64:]
    return [{"kid": "rsa-1", "kty": "RSA", "alg": "RS256", "use": "sig", "n": b64(modulus), "e": "AQAB"},
            {"kid": "ec-1", "kty": "EC", "crv": "P-256", "use": "sig", "x": b64(point[:32]), "y": b64(point[32:])},
            {"kid": "for-encryption", "kty": "RSA", "use": "enc", "n": b64(modulus), "e": "AQAB"}]


def issuer_of(folder):
    return "https://localhost:" + pathlib.Path(folder, "port").read_text()


def raw_ecdsa(der):
    """r and s, 32 bytes each, of SEQUENCE { INTEGER, INTEGER }."""
    def integer(at):
        size = der[at + 1]
        return int.from_bytes(der[at + 2:at + 2 + size], "big"), at + 2 + size
    r, at = integer(2)
    s, _ = integer(at)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def rs256(key):
    return lambda data: openssl("dgst", "-sha256", "-sign", key, data=data)


def kinds(folder):
    """KIND -> header, signer of its bytes."""
    rsa, ec, foreign = rs256(f"{folder}/rsa.key"), lambda data: raw_ecdsa(rs256(f"{folder}/ec.key")(data)), rs256(f"{folder}/foreign.key")
    public = openssl("pkey", "-in", f"{folder}/rsa.key", "-pubout")
    head = lambda **more: {"typ": "JWT", "alg": "RS256", "kid": "rsa-1", **more}
    stranger = {"kty": "RSA", "kid": "rsa-1", "n": b64(bytes.fromhex(openssl("rsa", "-in", f"{folder}/foreign.key", "-noout", "-modulus").decode().split("=")[1].strip())), "e": "AQAB"}
    return {"rs256": (head(), rsa),
            "es256": (head(alg="ES256", kid="ec-1"), ec),
            "none": (head(alg="none"), lambda data: b""),
            "none-signed": (head(alg="none"), rsa),
            "hs256": (head(alg="HS256"), lambda data: hmac.new(public, data, hashlib.sha256).digest()),
            "foreign": (head(), foreign),
            "other-key": (head(kid="ec-1"), rsa),
            "other-algorithm": (head(alg="ES256"), rsa),
            "es256-by-rsa-key": (head(alg="ES256"), ec),
            "encryption-key": (head(kid="for-encryption"), rsa),
            "unknown-key": (head(kid="nobody"), rsa),
            "no-key": ({"typ": "JWT", "alg": "RS256"}, rsa),
            "jwk": (head(jwk=stranger), foreign),
            "jku": (head(jku="https://localhost:1/keys"), foreign),
            "x5c": (head(x5c=["AAAA"]), foreign),
            "crit": (head(crit=["b64"], b64=False), rsa),
            "at+jwt": (head(typ="at+jwt"), rsa)}


def mint(folder, kind, changes):
    now = int(time.time())
    claims = {"iss": issuer_of(folder), "sub": "repo:acme/reader:ref:refs/heads/main", "aud": "https://fleet.test", "iat": now, "nbf": now, "exp": now + 300,
              "repository": "acme/reader", "ref": "refs/heads/main"}
    for change in changes:
        name, value = change.split("=", 1)
        if value.startswith("now"):
            claims[name] = now + int(value[3:] or 0)
        elif value == "":
            claims.pop(name, None)
        else:
            try:
                claims[name] = json.loads(value)
            except ValueError:
                claims[name] = value
    if kind == "tampered":
        header, payload, signature = mint(folder, "rs256", []).split(".")
        return ".".join([header, b64(json.dumps(claims).encode()), signature])
    header, sign = kinds(folder)[kind]
    signed = b64(json.dumps(header).encode()) + "." + b64(json.dumps(claims).encode())
    return signed + "." + b64(sign(signed.encode()))


def serve(folder):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            with open(f"{folder}/requests", "a") as log:
                log.write(self.path + "\n")
            issuer = issuer_of(folder)
            answers = {"/.well-known/openid-configuration": {"issuer": issuer, "jwks_uri": issuer + "/keys"}, "/keys": {"keys": key_set(folder)},
                       "/liar/.well-known/openid-configuration": {"issuer": issuer, "jwks_uri": issuer + "/keys"}}
            body = json.dumps(answers.get(self.path, {})).encode()
            self.send_response(200 if self.path in answers else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/tls.pem", f"{folder}/tls.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    pathlib.Path(folder, "port").write_text(str(server.server_address[1]))
    server.serve_forever()


if sys.argv[1] == "serve":
    serve(sys.argv[2])
else:
    print(mint(sys.argv[2], sys.argv[3], sys.argv[4:]))
