"""What the tasks need and the servers allow: what staff decide about before they buy."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from mediaapp.operations.parts import read_parts
from mediaapp.permissions import AuthenticatedRequest, staff_required
from workers.capacity.connections import connections_table
from workers.capacity.memory_proposals import memory_proposals
from workers.storage import health

TABLES: Sequence[Mapping[str, Callable[[], Any]]] = (
    {"proposals": memory_proposals},
    {"connections": connections_table},
    {"storage": health.verify},
)


@never_cache
@require_safe
@staff_required
def show_capacity(request: AuthenticatedRequest) -> HttpResponse:
    """A table whose server is away is None."""
    return render(request, "operations/capacity.html", read_parts(*TABLES))
