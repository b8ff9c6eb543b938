"""A link to a buyer's own payments, signed by the shop. Python 3.8 or newer, no package needed."""
import base64, hashlib, hmac, json, os, time


def buyer_token(buyer, secret):
    def part(raw):
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    now = int(time.time())
    claims = {"sub": buyer, "aud": "jeongsan", "iat": now, "exp": now + 3600}
    header = {"alg": "HS256", "typ": "JWT"}
    signed = ".".join(part(json.dumps(piece).encode()) for piece in (header, claims))
    mac = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return signed + "." + part(mac)


token = buyer_token(os.environ["BUYER"], os.environ["BUYERS_SECRET"])
print(os.environ["SHOP"] + "/payment/mypage?token=" + token)
