"""The forms in which objects are answered: whole, as the table that kubectl prints, or no more than their metadata."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sandbox.cluster.documents import Document, Json, section
from sandbox.cluster.paging import Page
from sandbox.cluster.resources import Resource
from sandbox.cluster.tables import Included, table_of

_META = "meta.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class View:
    """The form that a client asks for."""

    resource: Resource
    accept: str
    included: Included

    def of_object(self, document: Document, *, now: datetime) -> Document:
        """Return one object."""
        if self._asks_for("Table"):
            return self._table([document], now=now, metadata={})
        if self._asks_for("PartialObjectMetadata"):
            return metadata_of(document)
        return document

    def of_page(self, page: Page, *, now: datetime) -> Document:
        """Return a list."""
        metadata = _metadata(page)
        if self._asks_for("Table"):
            return self._table(page.items, now=now, metadata=metadata)
        if self._asks_for("PartialObjectMetadataList"):
            bare: list[Json] = [metadata_of(one) for one in page.items]
            return {"kind": "PartialObjectMetadataList", "apiVersion": _META, "metadata": metadata, "items": bare}
        return listing(self.resource, page)

    def _asks_for(self, form: str) -> bool:
        return any(f"as={form}" in part.split(";") for part in self.accept.replace(" ", "").split(","))

    def _table(self, documents: list[Document], *, now: datetime, metadata: Document) -> Document:
        return {**table_of(self.resource, documents, included=self.included, now=now), "metadata": metadata}


def view_of(resource: Resource, accept: str, query: Mapping[str, str]) -> View:
    """Return the form that a request asks for."""
    return View(resource, accept, Included(query.get("includeObject") or "Metadata"))


def metadata_of(document: Document) -> Document:
    """Return no more of an object than its metadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": section(document, "metadata")}


def listing(resource: Resource, page: Page) -> Document:
    """Return a list of whole objects, whose kind is told once."""
    items: list[Json] = [
        {name: value for name, value in one.items() if name not in {"kind", "apiVersion"}} for one in page.items
    ]
    kind = f"{resource.kind}List"
    return {"kind": kind, "apiVersion": resource.group_version, "metadata": _metadata(page), "items": items}


def _metadata(page: Page) -> Document:
    metadata: Document = {"resourceVersion": str(page.version)}
    if page.token:
        metadata["continue"] = page.token
    if page.remaining is not None:
        metadata["remainingItemCount"] = page.remaining
    return metadata
