"""What Prometheus scrapes."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.exposition import ALLOWUTF8

from mediaapp.metrics.scrape import Scrape
from mediaapp.permissions import token_or_staff_required


@never_cache
@require_safe
@token_or_staff_required
def show_metrics(request: HttpRequest) -> HttpResponse:
    """In the format that the client accepts: OpenMetrics, or Prometheus' text."""
    chosen: tuple[Any, str] = choose_encoder(request.headers.get("Accept", ""))
    encode, content_type = chosen
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Scrape())
    # Our names are the same in each escaping. That of UNDERSCORES looks at each of their characters: 17,000 a scrape.
    return HttpResponse(encode(registry, escaping=ALLOWUTF8), content_type=content_type)
