"""The pages of the staff. Other programs use these URLs, so they do not change."""

from django.urls import path

from mediaapp.views.operations import overview, runbooks

urlpatterns = [
    path("", overview.show_overview, name="operations"),
    path("runbooks/", runbooks.show_runbooks, name="runbooks"),
    path("runbooks/<slug:slug>/", runbooks.show_runbook, name="runbook"),
]
