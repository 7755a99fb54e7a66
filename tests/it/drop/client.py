"""The storefront of a shop at its drop. `hold` sends so many holds for each customer at once, over all sizes, and prints the
holds that were taken, and how many were refused for what. `order` makes an order of each hold, and prints its id."""

import collections
import concurrent.futures
import json
import os
import sys
import urllib.error
import urllib.request

def call(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(os.environ["FLASHSALE_URL"] + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        return json.load(refused)

def hold(each, *customers):
    skus = [product["sku"] for product in call("/api/products")["data"]]
    wishes = [{"sku": skus[(n * len(customers) + at) % len(skus)], "quantity": 1, "customer_id": customer}
              for n in range(int(each)) for at, customer in enumerate(customers)]
    with concurrent.futures.ThreadPoolExecutor(len(wishes)) as pool:
        answers = list(pool.map(lambda wish: call("/api/holds", wish), wishes))
    held, refused = collections.defaultdict(list), collections.Counter()
    for wish, answer in zip(wishes, answers):
        if "id" in answer:
            held[wish["customer_id"]].append(answer["id"])
        else:
            refused[f"{answer['code']} {answer.get('limit', '')}".strip()] += 1
    return {"held": held, "refused": refused}

def order(*holds):
    return [call("/api/orders", {"hold_id": hold_id})["id"] for hold_id in holds]

print(json.dumps({"hold": hold, "order": order}[sys.argv[1]](*sys.argv[2:])))
