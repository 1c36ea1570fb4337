"""Errors that are shown to a person: one sentence that names the field, the value and what would be right."""


class SparsebenchError(Exception):
    """Base of every error that the project raises on purpose."""


class BadInput(SparsebenchError):
    """A parameter, catalog entry or request that cannot be carried out as given."""


class StoreError(SparsebenchError):
    """The store cannot be read or written, or holds something else than what was asked for."""


class IntegrityError(StoreError):
    """An object's content is not what its digest says: it was edited or damaged."""
