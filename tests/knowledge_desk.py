"""What tests of the knowledge base say to the API, and read from it."""

from typing import Any

from tests.product import Product, calls_to
from tools.articles import upkeep

URL = "/api/v1/kb"
call = calls_to(URL)
Headers = dict[str, str]
Json = dict[str, Any]


async def written(product: Product, who: Headers, title: str, body: str, **more: Any) -> Json:
    """A new article, published unless `publish` says otherwise."""
    found: Json = await call(
        product, "POST", "/articles", who, 201, **{"title": title, "body": body, "publish": True, **more}
    )
    return found


async def found(product: Product, who: Headers, query: str) -> dict[str, str]:
    """Texts that a search of the tenant's articles finds, by ref."""
    answer = await product.http.post("/api/v1/search/tenant", headers=who, json={"query": query})
    assert answer.status_code == 200, answer.text
    return {hit["id"]: hit["content"] for hit in answer.json()["items"]}


async def uploaded(product: Product, who: Headers, *files: tuple[str, bytes], **fields: Any) -> Json:
    """An upload, worked through; its row at the end."""
    parts = [("files", file) for file in files]
    answer = await product.http.post(f"{URL}/articles/upload", headers=who, files=parts, data=fields)
    assert answer.status_code == 202, answer.text
    return await worked(product, who, answer.json())


async def worked(product: Product, who: Headers, job: Json) -> Json:
    """The job, done as the worker does it."""
    async with product.owner.lookup() as connection:
        row = await (
            await connection.execute("select tenant_id from kb_imports where id = %s", (job["id"],))
        ).fetchone()
    assert row
    await upkeep.run(product.resources.shelf, row["tenant_id"], job["id"])
    done: Json = await call(product, "GET", f"/imports/{job['id']}", who)
    return done


async def outcomes(product: Product, who: Headers, job: Json) -> dict[str, tuple[str, str]]:
    items = (await call(product, "GET", f"/imports/{job['id']}/files", who))["items"]
    return {item["name"]: (item["outcome"], item["detail"]) for item in items}
