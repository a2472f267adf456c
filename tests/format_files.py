"""Files of public data sets and tables, written by hand from their definitions.

In the form of ``FILES`` in ``test_formats.py``; the fourth value are the files next to it.
"""

import json

BOX = (0.1, 0.3, 0.1, 0.5)
NOTHING = (None, None)


def voc_of(database, class_name, file_name, corners=(20, 60, 10, 50)):
    """Pascal VOC's XML of a public data set."""
    x_min, x_max, y_min, y_max = corners
    return (
        f"<annotation><folder>f</folder><filename>{file_name}</filename><source>"
        f"<database>{database}</database></source><size><width>200</width><height>100</height>"
        f"<depth>3</depth></size><segmented>0</segmented><object><name>{class_name}</name><bndbox>"
        f"<xmin>{x_min}</xmin><ymin>{y_min}</ymin><xmax>{x_max}</xmax><ymax>{y_max}</ymax></bndbox>"
        "</object></annotation>"
    )


def lines_of(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


CUB = {
    "images.txt": "1 001.Albatross/a.jpg\n2 001.Albatross/b.jpg\n",
    "image_class_labels.txt": "1 1\n2 1\n",
    "classes.txt": "1 001.Albatross\n",
    "train_test_split.txt": "1 0\n2 1\n",
}
KITTI = "Car 0.00 0 -1.57 20.0 10.0 60.0 50.0 1.57 1.73 4.15 1.00 1.75 13.22 1.62"

FILES = {
    "ImageNet XML": (
        # Some files contain the format of the name instead of the name.
        ("n01440764_18.xml", "imagenet", voc_of("ILSVRC_2012", "n01440764", "%s")),
        [("n01440764_18.JPEG", "n01440764", *BOX)],
    ),
    "ImageNet, LOC_train_solution.csv": (
        (
            "LOC_train_solution.csv",
            "imagenet",
            "ImageId,PredictionString\n"
            "n02017213_7894,n02017213 20 10 60 50 n02017213 20 10 60 50 \nn02017213_1,\n",
        ),
        [("n02017213_7894.JPEG", "n02017213", *BOX)] * 2 + [("n02017213_1.JPEG", *NOTHING)],
    ),
    # The last of 64 pixels has the number 63.
    "Tiny ImageNet, val": (
        ("val_annotations.txt", "tiny_imagenet", "val_0.JPEG\tn03444034\t0\t32\t63\t63\n"),
        [("images/val_0.JPEG", "n03444034", 0.0, 1.0, 0.5, 1.0)],
    ),
    "Tiny ImageNet, train": (
        ("n01443537_boxes.txt", "tiny_imagenet", "n01443537_0.JPEG\t32\t0\t63\t31\n"),
        [("images/n01443537_0.JPEG", "n01443537", 0.5, 1.0, 0.0, 0.5)],
    ),
    "CUB": (
        (
            "bounding_boxes.txt",
            "cub",
            "1 20.0 10.0 40.0 40.0\n2 20.0 10.0 40.0 40.0\n",
            CUB,
        ),
        [(f"images/001.Albatross/{name}.jpg", "001.Albatross", *BOX) for name in "ab"],
    ),
    "Stanford Dogs": (
        ("n02085620_74", "stanford_dogs", voc_of("ImageNet database", "Chihuahua", "%s")),
        [("n02085620_74.jpg", "Chihuahua", *BOX)],
    ),
    "Oxford-IIIT Pet XML": (
        (
            # Pixel 21 is the first inside the box and 60 the last.
            "Great_Pyrenees_1.xml",
            "oxford_pet",
            voc_of("OXFORD-IIIT Pet Dataset", "dog", "Great_Pyrenees_1.jpg", (21, 60, 11, 50)),
        ),
        [("Great_Pyrenees_1.jpg", "dog", *BOX)],
    ),
    "Oxford-IIIT Pet list.txt": (
        (
            "list.txt",
            "oxford_pet",
            "#Image CLASS-ID SPECIES BREED ID\n#ID: 1:37 Class ids\nAbyssinian_1 1 1 1\n"
            "beagle_1 5 2 4\n",
            {
                "xmls/Abyssinian_1.xml": voc_of(
                    "OXFORD-IIIT Pet Dataset", "cat", "Abyssinian_1.jpg", (21, 60, 11, 50)
                )
            },
        ),
        # The list knows the class of an image without XML.
        [("Abyssinian_1.jpg", "cat", *BOX), ("beagle_1.jpg", "dog", None)],
    ),
    "KITTI": (
        (
            "a.txt",
            "kitti",
            f"{KITTI}\nDontCare -1 -1 -10 1.0 1.0 2.0 2.0 -1 -1 -1 -1000 -1000 -1000 -10\n"
            f"{KITTI.replace('Car', 'Person_sitting')} 0.9\n",
        ),
        [("a.jpg", "Car", *BOX), ("a.jpg", "Person_sitting", *BOX)],
    ),
    "KITTI, nothing labelled": (
        ("a.txt", "kitti", "DontCare -1 -1 -10 1.0 1.0 2.0 2.0 -1 -1 -1 -1000 -1000 -1000 -10\n"),
        [("a.jpg", *NOTHING)],
    ),
    "WIDER FACE": (
        (
            "wider_face_train_bbx_gt.txt",
            "wider_face",
            "0--Parade/a.jpg\n2\n20 10 40 40 0 0 0 0 0 0 \n20 10 40 40 2 1 0 1 2 0 \n"
            "1--Fair/b.jpg\n0\n0 0 0 0 0 0 0 0 0 0 \n",
        ),
        [("0--Parade/a.jpg", "face", *BOX)] * 2 + [("1--Fair/b.jpg", *NOTHING)],
    ),
    "Hugging Face, JSON lines": (
        (
            "metadata.jsonl",
            "hugging_face",
            lines_of(
                {"file_name": "a.jpg", "objects": {"bbox": [[20, 10, 40, 40]], "categories": [0]}},
                {"file_name": "b.jpg", "objects": {"bbox": [], "categories": []}},
            ),
        ),
        [("a.jpg", "0", *BOX), ("b.jpg", *NOTHING)],
    ),
    "Hugging Face, JSON lines with sizes": (
        (
            "metadata.jsonl",
            "hugging_face",
            lines_of(
                {
                    "file_name": "c.jpg",
                    "width": 400,
                    "height": 200,
                    "objects": {"bbox": [[40.0, 20.0, 80.0, 80.0]], "category": ["cat"]},
                }
            ),
        ),
        [("c.jpg", "cat", *BOX)],
    ),
    "Hugging Face, CSV": (
        (
            "metadata.csv",
            "hugging_face",
            'file_name,objects.bbox,objects.categories\na.jpg,"[[20, 10, 40, 40]]","[""cat""]"\n'
            "b.jpg,[],[]\n",
        ),
        [("a.jpg", "cat", *BOX), ("b.jpg", *NOTHING)],
    ),
    "Hugging Face, CSV with a cell of objects": (
        (
            "metadata.csv",
            "hugging_face",
            "file_name,width,height,objects\n"
            'a.jpg,,,"{""bbox"": [[20, 10, 40, 40]], ""categories"": [""cat""]}"\n',
        ),
        [("a.jpg", "cat", *BOX)],
    ),
    "table, VoTT": (
        (
            "a-export.csv",
            "table",
            '"image","xmin","ymin","xmax","ymax","label"\n"a.jpg",20.0,10.0,60.0,50.0,"cat"\n',
        ),
        [("a.jpg", "cat", *BOX)],
    ),
    "table, makesense": (
        (
            "a.csv",
            "table",
            "label_name,bbox_x,bbox_y,bbox_width,bbox_height,image_name,image_width,image_height\n"
            "cat,20,10,40,40,c.jpg,200,100\n",
        ),
        [("c.jpg", "cat", *BOX)],
    ),
    "table, makesense without a header": (
        ("a.csv", "table", "cat,20,10,40,40,c.jpg,200,100\n"),
        [("c.jpg", "cat", *BOX)],
    ),
    "table, keras-retinanet": (
        ("a.csv", "table", "a.jpg,20,10,60,50,cat\nb.jpg,,,,,\n"),
        [("a.jpg", "cat", *BOX), ("b.jpg", *NOTHING)],
    ),
    # Two vertices, and all four.
    "table, Vertex CSV": (
        (
            "a.csv",
            "table",
            "TRAIN,gs://folder/a.jpg,cat,0.1,0.1,,,0.3,0.5,,\n"
            "TEST,gs://folder/c.jpg,cat,0.1,0.1,0.3,0.1,0.3,0.5,0.1,0.5\n"
            "UNASSIGNED,gs://folder/b.jpg,,,,,,,,,\n",
        ),
        [("a.jpg", "cat", *BOX), ("c.jpg", "cat", *BOX), ("b.jpg", *NOTHING)],
    ),
    "table, Vertex JSON lines": (
        (
            "a.jsonl",
            "table",
            lines_of(
                {
                    "imageGcsUri": "gs://bucket/a.jpg",
                    "boundingBoxAnnotations": [
                        {"displayName": "cat", "xMin": 0.1, "yMin": 0.1, "xMax": 0.3, "yMax": 0.5}
                    ],
                    "dataItemResourceLabels": {"aiplatform.googleapis.com/ml_use": "training"},
                },
                {"imageGcsUri": "gs://bucket/b.jpg", "boundingBoxAnnotations": []},
            ),
        ),
        [("a.jpg", "cat", *BOX), ("b.jpg", *NOTHING)],
    ),
    "table, Azure": (
        (
            "a.jsonl",
            "table",
            lines_of(
                {
                    "image_url": "azureml://datastores/d/paths/a.jpg",
                    "image_details": {"format": "jpg", "width": "200px", "height": "100px"},
                    "label": [
                        {
                            "label": "cat",
                            "topX": 0.1,
                            "topY": 0.1,
                            "bottomX": 0.3,
                            "bottomY": 0.5,
                            "isCrowd": 0,
                        }
                    ],
                }
            ),
        ),
        [("a.jpg", "cat", *BOX)],
    ),
    "table, Kaggle's cells with lists": (
        # As two corners, the second box would be inverted.
        (
            "train.csv",
            "table",
            "image_id,width,height,bbox,class\n"
            'c,200,100,"[20.0, 10.0, 40.0, 40.0]",cat\nc,200,100,"[120.0, 10.0, 40.0, 40.0]",cat\n',
        ),
        [("c", "cat", *BOX), ("c", "cat", 0.6, 0.8, 0.1, 0.5)],
    ),
    "table, centres in TSV": (
        (
            "a.tsv",
            "table",
            "Path\tCategory\tX Center\tY Center\tw\th\na.jpg\tcat\t0.2\t0.3\t0.2\t0.4\n",
        ),
        [("a.jpg", "cat", *BOX)],
    ),
    "table, semicolons": (
        ("a.csv", "table", "file;species;left;top;width;height\na.jpg;3;20;10;40;40\n"),
        [("a.jpg", "3", *BOX)],
    ),
}
