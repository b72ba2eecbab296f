"""Run it while the worker is up: `python -m unittest shop.tests`."""

import time
import unittest

import django
from django.conf import settings
from django.test import Client

django.setup()

from shop.models import Order
from shop.tasks import remind_unpaid, send_receipt


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("waited for a minute in vain")
        time.sleep(0.05)


def mails(subject):
    folder = settings.EMAIL_FILE_PATH
    found = [path.read_text() for path in folder.iterdir()] if folder.exists() else []
    return sum(f"Subject: {subject}\n" in text for text in found)


class ShopTest(unittest.TestCase):
    def setUp(self):
        self.order = Order.objects.create(email="ann@example.com", total=12)

    def test_a_receipt_is_mailed(self):
        send_receipt.delay(self.order.pk)
        wait_until(lambda: mails(f"Receipt {self.order.pk}"))

    def test_a_reminder_is_mailed_once(self):
        remind_unpaid.delay()
        wait_until(lambda: mails(f"Reminder {self.order.pk}") == 1)

    def test_an_export_is_written_and_says_so(self):
        client = Client()
        export = client.post("/exports/").json()["id"]
        wait_until(lambda: client.get(f"/exports/{export}/").json()["state"] == "done")
        rows = (settings.EXPORTS / f"{export}.csv").read_text().splitlines()
        self.assertEqual(len(rows), Order.objects.count())
