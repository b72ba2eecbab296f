from django.db import models


class Order(models.Model):
    email = models.EmailField()
    total = models.DecimalField(max_digits=9, decimal_places=2)
    is_paid = models.BooleanField(default=False)
    is_reminded = models.BooleanField(default=False)


class Export(models.Model):
    task_id = models.CharField(max_length=50, blank=True)
