"""The pages of the staff. Other programs use these URLs, so they do not change."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
