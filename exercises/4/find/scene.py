# Two versions of a price list for the user demo: all prices 490, and a moment later all 49. Each run begins anew.
from django.core.files.uploadedfile import SimpleUploadedFile

from mediaapp.models import CatalogueItem, Upload, User
from mediaapp.uploads.receive import store_upload
from workers.models import Job

ROWS = 400_000
demo = User.objects.get(username="demo")
Upload.objects.filter(owner=demo, kind=Upload.Kind.CSV).delete()
Job.objects.filter(owner=demo, queue="imports").delete()
CatalogueItem.objects.filter(owner=demo).delete()
for name, price, keys in (("morning.csv", 490, range(ROWS)), ("noon.csv", 49, reversed(range(ROWS)))):
    lines = (f"B-{key:06},Machine {key},Washers,{price}.00,3\n" for key in keys)
    text = "external_id,title,creator,price,stock\n" + "".join(lines)
    store_upload(demo, SimpleUploadedFile(name, text.encode()))
