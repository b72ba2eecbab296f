import csv

from celery import shared_task
from django.conf import settings
from django.core.mail import send_mail

from shop.models import Order

SENDER = "shop@example.com"


@shared_task
def send_receipt(order_id):
    order = Order.objects.get(pk=order_id)
    send_mail(f"Receipt {order.pk}", f"You paid {order.total}.", SENDER, [order.email])


@shared_task
def remind_unpaid():
    for order in Order.objects.filter(is_paid=False, is_reminded=False):
        send_mail(f"Reminder {order.pk}", f"Please pay {order.total}.", SENDER, [order.email])
        order.is_reminded = True
        order.save()


@shared_task(bind=True, time_limit=1800)
def export_orders(self, export_id):
    settings.EXPORTS.mkdir(exist_ok=True)
    total = Order.objects.count()
    with (settings.EXPORTS / f"{export_id}.csv").open("w") as file:
        rows = csv.writer(file)
        for done, order in enumerate(Order.objects.iterator(), start=1):
            rows.writerow([order.pk, order.email, order.total])
            self.update_state(state="PROGRESS", meta={"done": done, "total": total})
