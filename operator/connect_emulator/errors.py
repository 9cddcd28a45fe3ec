"""Error answers of the Connect API, with the texts that real servers send."""

UNCLASSIFIED = "Something went wrong"
TOO_LARGE = (
    "File is too large to inline in request. Use the "
    "/v1/vaults/{vaultUUID}/items/{itemUUID}/files/{fileUUID}/content endpoint instead."
)
NOT_SYNCED = "sync did not complete within timeout, please retry the request"
VALIDATOR = "Validation: (validateVaultItem failed to Validate), Couldn't validate the item: "


class ApiError(Exception):
    """An answer other than success: `status` for both the HTTP line and the body, `message` for the body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def invalid_item(problem: str) -> ApiError:
    """The 400 of 1Password's item validator, in its own words (seen)."""
    return ApiError(400, f'{VALIDATOR}"[ItemValidator] has found 1 errors, 0 warnings: \nErrors:{{1. {problem}}}"')


def not_found(kind: str, name: str) -> ApiError:
    """The documented 404 for a vault, an item or a file."""
    return ApiError(404, f"{kind} {name} not found")
