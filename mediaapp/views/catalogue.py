"""The rows that the user's CSV files imported."""

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from mediaapp.models import CatalogueItem, Report
from mediaapp.permissions import AuthenticatedRequest

PER_PAGE = 50
SAMPLE = """external_id,title,creator,category,released_on,price,stock
B-0001,The Silent Sea,Ann Hart,Novel,2019-04-23,12.90,14
B-0002,"Bread, Salt, Wine",Luis Ortega,Cooking,2021-10-01,24.00,3
B-0003,Night Trains,Mara Lind,,,,
"""


@require_safe
@login_required
def show_catalogue(request: AuthenticatedRequest) -> HttpResponse:
    items = CatalogueItem.objects.filter(owner=request.user).order_by("external_id")
    query = request.GET.get("q", "").replace("\x00", "").strip()
    if query:
        items = items.filter(
            Q(title__icontains=query) | Q(creator__icontains=query) | Q(external_id__istartswith=query)
        )
    page = Paginator(items, PER_PAGE).get_page(request.GET.get("page"))
    reports = Report.objects.filter(owner=request.user).select_related("job", "upload").order_by("-created_at")
    return render(request, "catalogue/catalogue.html", {"page": page, "query": query, "reports": reports})


@require_safe
def download_sample(request: HttpRequest) -> HttpResponse:
    response = HttpResponse(SAMPLE, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="sample.csv"'
    return response
