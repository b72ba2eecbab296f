from celery.result import AsyncResult
from django.http import JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from shop.models import Export
from shop.tasks import export_orders


@require_POST
def start_export(request):
    export = Export.objects.create()
    export.task_id = export_orders.delay(export.pk).id
    export.save()
    return JsonResponse({"id": export.pk})


def show_export(request, export_id):
    result = AsyncResult(get_object_or_404(Export, pk=export_id).task_id)
    if result.state == "SUCCESS":
        return JsonResponse({"state": "done"})
    if result.state == "PROGRESS":
        return JsonResponse({"state": "running", **(result.info or {})})
    return JsonResponse({"state": "Processing is about to start"})
