"""What the shop's beat sends."""

from datetime import timedelta

from workers.schedule import daily, every

SCHEDULE = {
    "collect every minute": every(timedelta(minutes=1), "shop.tasks.collect"),
    "count the stock at 04:00": daily("04:00", "shop.tasks.count_stock"),
}
