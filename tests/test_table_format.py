"""The format ``table``: which columns are read, and what their numbers are."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from PIL import Image
from test_formats import BOX, rows_of

from skbbox import read_annotations
from skbbox.exceptions import AnnotationError, SkbboxWarning

SIZES = {name: (200, 100) for name in ("a.jpg", "b.jpg")}
HEAD = "filename,label,xmin,ymin,xmax,ymax\n"
CELLS = "filename,label,bbox\n"


@pytest.fixture
def read(tmp_path):
    """Write a CSV file and read it; returns its rows in the form of FILES."""

    def read(text, name="a.csv", **options):
        path = tmp_path / name
        path.write_text(text)
        return rows_of(read_annotations(path, **({"sizes": SIZES} | options)), tmp_path)

    return read


# ---------------------------------------------------------------- units


def test_numbers_up_to_1_are_normalised(read):
    # 1, 1 alone could be pixels.
    text = HEAD + "a.jpg,cat,0.1,0.1,0.3,0.5\na.jpg,dog,0,0,1,1\n"
    assert read(text, sizes=None) == [("a.jpg", "cat", *BOX), ("a.jpg", "dog", 0, 1, 0, 1)]


def test_larger_numbers_are_pixels_of_the_image(read, tmp_path):
    Image.new("RGB", (400, 200)).save(tmp_path / "a.jpg")
    assert read(HEAD + "a.jpg,cat,40,20,120,100\n", sizes=None) == [("a.jpg", "cat", *BOX)]


def test_numbers_of_0_and_1_can_be_two_units(read):
    text = HEAD + "a.jpg,cat,0,0,1,1\n"
    message = r"a.csv, line 2: the numbers \[0, 0, 1, 1\] can be pixels or normalised. Pass units"
    with pytest.raises(AnnotationError, match=message):
        read(text)
    assert read(text, units="normalised") == [("a.jpg", "cat", 0, 1, 0, 1)]
    assert read(text, units="pixels") == [("a.jpg", "cat", 0, 0.005, 0, 0.01)]


def test_mixed_units_are_refused(read):
    text = HEAD + "a.jpg,cat,20,10,60,50\nb.jpg,cat,0.1,0.1,0.3,0.5\n"
    message = r"line 3: the numbers \[0.1, 0.1, 0.3, 0.5\] look normalised, but those of line 2"
    with pytest.raises(AnnotationError, match=message):
        read(text)


def test_fractions_up_to_100_on_large_images_can_be_percent(read):
    text = HEAD + "a.jpg,cat,10.5,10,30.5,50\n"
    sizes = {"a.jpg": (1000, 500)}
    message = r"can be pixels or percent. Pass units='pixels' or units='percent'"
    with pytest.raises(AnnotationError, match=message):
        read(text, sizes=sizes)
    assert read(text, sizes=sizes, units="percent") == [("a.jpg", "cat", 0.105, 0.305, 0.1, 0.5)]
    assert read(text, sizes=sizes, units="pixels") == [("a.jpg", "cat", 0.0105, 0.0305, 0.02, 0.1)]


# ---------------------------------------------------------------- order of the numbers


@pytest.mark.parametrize(
    ("cell", "other", "box_format"),
    [
        # As corner and sides, the other box ends at x 150 + 190.
        ("[20, 10, 60, 50]", "150 0 190 50", "xyxy"),
        # As two corners, the other box is inverted.
        ("[20, 10, 40, 40]", "(150, 0, 20, 50)", "xywh"),
    ],
)
def test_another_box_decides_what_a_cell_holds(read, cell, other, box_format):
    text = f'{CELLS}a.jpg,cat,"{cell}"\na.jpg,dog,"{other}"\n'
    rows = read(text)
    assert rows[0] == ("a.jpg", "cat", *BOX)
    assert rows == read(text, box_format=box_format)


def test_two_readings_of_a_cell_are_refused_with_both(read):
    message = (
        r"a.csv, line 2: the numbers \[20, 10, 60, 50\] can be xyxy \(x 20 to 60, y 10 to 50\) or "
        r"xywh \(x 20 to 80, y 10 to 60\), .*Pass box_format='xyxy' or box_format='xywh'"
    )
    with pytest.raises(AnnotationError, match=message):
        read(CELLS + 'a.jpg,cat,"[20, 10, 60, 50]"\n')


def test_cells_that_no_reading_fits_are_refused(read):
    text = CELLS + 'a.jpg,cat,"[20, 10, 190, 50]"\na.jpg,cat,"[150, 10, 20, 40]"\n'
    with pytest.raises(AnnotationError, match=r"not xyxy \(line 3\), not xywh \(line 2\)"):
        read(text)


@pytest.mark.parametrize(
    ("box_format", "cell"),
    [
        ("xyxy", "20,10,60,50"),
        ("xxyy", "20,60,10,50"),
        ("yxyx", "10,20,50,60"),
        ("xywh", "20,10,40,40"),
        ("cxcywh", "40,30,40,40"),
    ],
)
def test_order_of_the_numbers_can_be_given(read, box_format, cell):
    text = f'{CELLS}a.jpg,cat,"{cell}"\n'
    assert read(text, box_format=box_format) == [("a.jpg", "cat", *BOX)]


@pytest.mark.parametrize(
    ("header", "numbers"),
    [
        ("x1,y1,x2,y2", "20,10,60,50"),
        ("x0,y0,x1,y1", "20,10,60,50"),
        ("bbox_xmin,bbox_ymin,bbox_xmax,bbox_ymax", "20,10,60,50"),
        ("Left,Top,Right,Bottom", "20,10,60,50"),
        ("x_max,x_min,y_max,y_min", "60,20,50,10"),
        ("xmin,ymin,w,h", "20,10,40,40"),
        ("left,top,width,height", "20,10,40,40"),
        ("center_x,center_y,width,height", "40,30,40,40"),
        ("cx,cy,w,h", "40,30,40,40"),
        # As a centre, x would begin at -10.
        ("x,y,w,h", "10,10,40,40"),
    ],
)
def test_usual_names_of_columns_are_known(read, header, numbers):
    rows = read(f"Image_Path,Class Name,{header}\na.jpg,cat,{numbers}\n")
    expected = (0.05, 0.25, 0.1, 0.5) if header == "x,y,w,h" else BOX
    assert rows == [("a.jpg", "cat", *expected)]


def test_x_and_y_that_can_be_a_corner_or_a_centre_are_refused(read):
    with pytest.raises(AnnotationError, match=r"can be xywh .* or cxcywh"):
        read("image,label,x,y,w,h\na.jpg,cat,40,30,40,40\n")


def test_files_of_a_folder_decide_together(tmp_path):
    # The box in b.csv can be read in two ways, that in a.csv cannot.
    (tmp_path / "a.csv").write_text(CELLS + 'a.jpg,cat,"[150, 0, 190, 50]"\n')
    (tmp_path / "b.csv").write_text(CELLS + 'b.jpg,cat,"[20, 10, 60, 50]"\n')
    frame = read_annotations(tmp_path, sizes=SIZES)
    assert rows_of(frame, tmp_path)[1] == ("b.jpg", "cat", *BOX)


# ---------------------------------------------------------------- columns


def test_columns_can_be_named(read):
    text = "photo,was,l,t,r,b,W,H\na.jpg,cat,40,20,120,100,400,200\n"
    columns = {
        "image": "photo",
        "class_name": "was",
        "box": ["l", "t", "r", "b"],
        "image_size": ["W", "H"],
    }
    assert read(text, columns=columns, box_format="xyxy") == [("a.jpg", "cat", *BOX)]


def test_order_of_named_columns_follows_their_names(read):
    text = "f,c,ymax,ymin,xmax,xmin\na.jpg,cat,50,10,60,20\n"
    columns = {"image": "f", "class_name": "c", "box": ["ymax", "ymin", "xmax", "xmin"]}
    assert read(text, columns=columns) == [("a.jpg", "cat", *BOX)]


def test_table_without_classes_has_one_if_asked(read):
    text = "filename,xmin,ymin,xmax,ymax\na.jpg,20,10,60,50\nb.jpg,,,,\n"
    with pytest.raises(AnnotationError, match=r"of the classes; pass columns=\{'class_name'"):
        read(text)
    assert read(text, columns={"class_name": None}) == [
        ("a.jpg", "object", *BOX),
        ("b.jpg", None, None),
    ]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("filename", "columns must be a dict with keys of"),
        ({"file": "filename"}, "columns must be a dict with keys of"),
        ({"box": ["xmin", "ymin"]}, r"columns\['box'\] must be 1 or 4 names"),
        ({"image": 3}, r"columns\['image'\] must be 1 names"),
        ({"image": "photo"}, r"a.csv: the column 'photo' of columns= is missing"),
    ],
)
def test_invalid_columns_are_refused(read, columns, message):
    with pytest.raises(AnnotationError, match=message):
        read(HEAD + "a.jpg,cat,20,10,60,50\n", columns=columns)


def test_two_columns_that_can_hold_the_class_are_refused(read):
    text = "filename,label,category,xmin,ymin,xmax,ymax\na.jpg,cat,pet,20,10,60,50\n"
    message = r"both columns 'label' and 'category' can hold the class_name; pass columns="
    with pytest.raises(AnnotationError, match=message):
        read(text)
    assert read(text, columns={"class_name": "category"}) == [("a.jpg", "pet", *BOX)]


def test_width_and_height_beside_corners_are_those_of_the_box_or_the_image(read):
    head = "image,label,xmin,ymin,xmax,ymax,width,height\n"
    assert read(head + "c.jpg,cat,40,20,120,100,400,200\n") == [("c.jpg", "cat", *BOX)]
    # Of the box of 40 x 40, so that the size is that of the image.
    assert read(head + "a.jpg,cat,20,10,60,50,40,40\n") == [("a.jpg", "cat", *BOX)]
    with pytest.raises(AnnotationError, match="can be the size of the box or of the image"):
        read(head + "a.jpg,cat,0,0,60,50,60,50\n")


def test_other_columns_and_the_split_are_kept(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("file,label,xmin,ymin,xmax,ymax,set,patient\na.jpg,cat,.1,.1,.3,.5,val,007\n")
    row = read_annotations(path).iloc[0]
    assert row[["split", "patient"]].tolist() == ["val", "007"]


def test_class_without_a_box_is_kept(read):
    assert read(HEAD + "a.jpg,cat,20,10,60,50\nb.jpg,cat,,,,\n") == [
        ("a.jpg", "cat", *BOX),
        ("b.jpg", "cat", None),
    ]


def test_numbers_of_classes_get_names(read):
    rows = read(HEAD + "a.jpg,1,20,10,60,50\n", class_names=["cat", "dog"])
    assert rows == [("a.jpg", "dog", *BOX)]


def test_conventions_can_be_given(read):
    text = HEAD + "a.jpg,cat,21,11,60,50\n"
    assert read(text, corners="voc") == [("a.jpg", "cat", *BOX)]
    text = HEAD + "a.jpg,cat,20,50,60,90\n"
    assert read(text, y_origin="bottom") == [("a.jpg", "cat", *BOX)]


def test_size_that_is_transposed_warns(read, tmp_path):
    Image.new("RGB", (100, 200)).save(tmp_path / "a.jpg")
    text = "image,label,xmin,ymin,xmax,ymax,image_width,image_height\na.jpg,cat,20,10,60,50,200,100"
    with pytest.warns(SkbboxWarning, match="width and height of 1 images exchanged"):
        read(text)


def test_options_of_tables_are_refused_for_other_formats(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("0 0.2 0.3 0.2 0.4\n")
    with pytest.raises(AnnotationError, match=r"units can be passed for tables only.*'yolo'"):
        read_annotations(path, units="pixels")


# ---------------------------------------------------------------- tables in memory

FRAME = pd.DataFrame(
    {
        "image": ["a.jpg", "b.jpg", "c.jpg"],
        "class_name": ["cat", 3, None],
        "box": [[0.1, 0.1, 0.3, 0.5], np.array([0.5, 0.5, 0.4, 0.9]), None],
    },
    index=["x", "y", "z"],
)


def test_table_in_memory_is_read():
    frame = read_annotations(FRAME, box_format="xyxy")
    assert rows_of(frame, ".") == [
        ("a.jpg", "cat", *BOX),
        ("b.jpg", "3", 0.5, 0.4, 0.5, 0.9),
        ("c.jpg", None, None),
    ]


def test_table_of_polars_is_read():
    table = pl.DataFrame({"file": ["a.jpg"], "label": ["cat"], "x1": [20], "y1": [10]})
    table = table.with_columns(pl.Series("x2", [60]), pl.Series("y2", [50]))
    assert rows_of(read_annotations(table, sizes=SIZES), ".") == [("a.jpg", "cat", *BOX)]


def test_row_of_a_table_in_memory_is_named():
    with pytest.raises(AnnotationError, match=r"DataFrame, row 'y': box must hold four numbers"):
        read_annotations(FRAME.assign(box=[[0.1, 0.1, 0.3, 0.5], [0.5], None]))


def test_source_of_another_type_is_refused():
    with pytest.raises(AnnotationError, match="must be a path or a table with named columns"):
        read_annotations(3)


# ---------------------------------------------------------------- invalid rows


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.jpg,cat,20,ten,60,50", "line 3: ymin is not a number. Received: 'ten'"),
        ("a.jpg,cat,20,1_0,60,50", "line 3: ymin is not a number"),
        ("a.jpg,cat,20,nan,60,50", "line 3: ymin is not a number"),
        ("a.jpg,cat,20,1e999,60,50", "line 3: ymin is not a number"),
        ("a.jpg,cat,20,10,60,inf", "line 3: ymax is not a number"),
        ("a.jpg,cat,20,,60,50", "line 3: a number of the box is missing: ymin"),
        ("a.jpg,cat,20,10,60", "line 3: expected 6 fields, as in the first line. Received 5"),
        ("a.jpg,cat,20,10,60,50,7", "line 3: expected 6 fields, as in the first line. Received 7"),
        (",cat,20,10,60,50", "line 3: filename must be the name of an image. Received: ''"),
        ("../a.jpg,cat,20,10,60,50", "line 3: the image is outside"),
        ("c.jpg,cat,20,10,60,50", "line 3: the size of 'c.jpg' in pixels is needed but unknown"),
        ('a.jpg,"cat,20,10,60,50', "a quotation mark may be unclosed"),
    ],
)
def test_invalid_row_is_named(read, row, message):
    with pytest.raises(AnnotationError, match=rf"a.csv, {message}|a.csv.*{message}"):
        read(f"{HEAD}a.jpg,cat,20,10,60,50\n{row}\n")


@pytest.mark.parametrize("cell", ["[1, 2, 3]", "[1, 2, 3, x]", "[[1, 2, 3, 4], [5, 6, 7, 8]]"])
def test_cell_without_four_numbers_is_named(read, cell):
    with pytest.raises(AnnotationError, match=r"a.csv, line 2: bbox (must hold four|is not a num)"):
        read(f'{CELLS}a.jpg,cat,"{cell}"\n')


def test_record_of_json_lines_is_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"image": "a.jpg", "label": "cat", "bbox": [0.1, 0.1, 0.3, true]}\n' * 2)
    with pytest.raises(AnnotationError, match=r"a.jsonl, \[0\]: bbox is not a number.*True"):
        read_annotations(path)
