"""What Prometheus scrapes."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from mediaapp.metrics.scrape import Scrape
from mediaapp.permissions import token_or_staff_required


@never_cache
@require_safe
@token_or_staff_required
def show_metrics(request: HttpRequest) -> HttpResponse:
    """In the format that the client accepts: OpenMetrics, or Prometheus' text."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Scrape())
    return HttpResponse(encode(registry), content_type=content_type)
