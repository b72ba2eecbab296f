"""The pages of the staff. Other programs use these URLs, so they do not change."""

from django.urls import path

from mediaapp.views.operations import overview

urlpatterns = [
    path("", overview.show_overview, name="operations"),
]
