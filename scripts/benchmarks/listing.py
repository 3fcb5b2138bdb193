"""Lists a repo for aria2c: what a script around it has to do before it can begin; ``python -I -S listing.py``.

HUB REPO LIST SUMS: writes aria2c's input file with a signed URL, a name and a checksum for each file, and a list
for ``sha256sum -c``. The tree and the LFS batch API are asked, in as few requests as they allow: aria2c is not to
pay for a redirect of each file.
"""

import json
import re
import sys
import urllib.request

MEDIA_TYPE = "application/vnd.git-lfs+json"
BATCH = 1000


def tree(url):
    """Every entry of the repo."""
    while url:
        with urllib.request.urlopen(url) as answer:
            yield from json.load(answer)
            following = re.search(r'<([^>]+)>; rel="next"', answer.headers.get("Link", ""))
        url = following and following[1]


def hrefs(hub, repo, rows):
    """The signed URL of each object."""
    found = {}
    for start in range(0, len(rows), BATCH):
        objects = [{"oid": row["lfs"]["oid"], "size": row["size"]} for row in rows[start : start + BATCH]]
        body = json.dumps({"operation": "download", "transfers": ["basic"], "objects": objects}).encode()
        headers = {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE}
        request = urllib.request.Request(f"{hub}/{repo}.git/info/lfs/objects/batch", body, headers)
        with urllib.request.urlopen(request) as answer:
            found |= {row["oid"]: row["actions"]["download"]["href"] for row in json.load(answer)["objects"]}
    return found


def main(hub, repo, listed, sums):
    """Write both lists."""
    rows = [row for row in tree(f"{hub}/api/models/{repo}/tree/main?recursive=true") if row["type"] == "file"]
    objects = [row for row in rows if "lfs" in row]
    urls = hrefs(hub, repo, objects)
    with open(listed, "w") as out, open(sums, "w") as digests:
        for row in rows:
            oid = row.get("lfs", {}).get("oid")
            url = urls[oid] if oid else f"{hub}/{repo}/resolve/main/{row['path']}"
            print(url, f"  out={row['path']}", sep="\n", file=out)
            if oid:
                print(f"  checksum=sha-256={oid}", file=out)
                print(f"{oid}  {row['path']}", file=digests)


main(*sys.argv[1:])
