"""The people of most tests: a tenant of its own, two colleagues, an admin, and a customer."""

import pytest

from memory.models import Tenant
from memory.tenancy import Role
from tests.product import Product, Visitor


@pytest.fixture
async def tenant(product: Product) -> Tenant:
    return await product.tenant()


@pytest.fixture
async def ada(product: Product, tenant: Tenant) -> dict[str, str]:
    return await product.staff(tenant, Role.AGENT)


@pytest.fixture
async def bert(product: Product, tenant: Tenant) -> dict[str, str]:
    return await product.staff(tenant, Role.AGENT)


@pytest.fixture
async def admin(product: Product, tenant: Tenant) -> dict[str, str]:
    return await product.staff(tenant, Role.ADMIN)


@pytest.fixture
async def customer(product: Product, tenant: Tenant) -> Visitor:
    return await product.visitor(tenant)
