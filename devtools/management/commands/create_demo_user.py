"""`manage.py create_demo_user`: login demo / demo, for development only."""

from django.conf import settings
from django.contrib.auth.models import Permission
from django.core.management.base import BaseCommand, CommandError

from mediaapp.models import User


class Command(BaseCommand):
    help = "Create the user demo / demo (development only); an existing one stays as it is."

    def handle(self, **_: object) -> None:
        if not settings.DEBUG:
            raise CommandError("Everybody knows the password of this user: not without DEBUG.")
        if not User.objects.filter(username="demo").exists():
            demo = User.objects.create_user("demo", "demo@example.com", "demo", is_staff=True)
            demo.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
