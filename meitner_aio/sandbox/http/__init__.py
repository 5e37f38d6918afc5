"""The sandbox's answers: routes, credentials, quota, paging, its OpenAPI document."""
