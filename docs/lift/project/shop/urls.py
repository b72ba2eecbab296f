from django.urls import path

from shop import views

urlpatterns = [
    path("exports/", views.start_export),
    path("exports/<int:export_id>/", views.show_export),
]
