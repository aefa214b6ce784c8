"""Lists as other people write them: what is expected is written by hand."""

import csv
import io
import random
from dataclasses import dataclass, field

import pytest
from PIL import Image

from lurk.errors import ImagesError
from lurk.images.load_images import load_images

FLAT = ("a.png", "b.png", "c.png")
IN_IMG = ("img/a.png", "img/b.png", "img/c.png")
NO_LABELS = "add a label after each path"


@dataclass(frozen=True)
class Case:
    """A list beside some files, and the class of each image that it is to give."""

    text: str | bytes
    expected: dict[str, str | None]
    files: tuple[str, ...] = FLAT
    note: str = ""
    name: str = "list.csv"
    label_column: str | None = None
    numbers: tuple[int | None, ...] | None = None
    names: tuple[str, ...] | None = field(default=None)


ABC = {"a.png": "cat", "b.png": "dog", "c.png": "cat"}
ABC_IMG = {f"img/{path}": name for path, name in ABC.items()}
CASES = {
    "image_id,label": Case("image_id,label\na.png,cat\nb.png,dog\nc.png,cat\n", ABC, note="column 2 'label' as class"),
    "imgpath,diagnosis": Case("imgpath,diagnosis\na.png,cat\nb.png,dog\nc.png,cat\n", ABC, note="2 classes: cat, dog"),
    "filename,breed": Case("filename,breed\na.png,cat\nb.png,dog\nc.png,cat\n", ABC, note="'breed'"),
    "Image,Id": Case(
        "Image,Id\na.png,w_1287fbc\nb.png,w_98baff9\nc.png,w_1287fbc\n",
        {"a.png": "w_1287fbc", "b.png": "w_98baff9", "c.png": "w_1287fbc"},
    ),
    "file;class": Case("file;class\na.png;cat\nb.png;dog\nc.png;cat\n", ABC),
    "unknown titles": Case("foto,soort\na.png,cat\nb.png,dog\nc.png,cat\n", ABC, note="column 2 'soort'"),
    "titles in Japanese": Case(
        "画像,種類\na.png,猫\nb.png,犬\nc.png,猫\n", {"a.png": "猫", "b.png": "犬", "c.png": "猫"}
    ),
    "no titles": Case("a.png,cat\nb.png,dog\nc.png,cat\n", ABC, note="column 2 as class: 2 classes: cat, dog"),
    "tab": Case("a.png\tcat\nb.png\tdog\nc.png\tcat\n", ABC, name="list.tsv"),
    "tab in .csv": Case("image\tlabel\na.png\tcat\nb.png\tdog\nc.png\tcat\n", ABC),
    "bar": Case("a.png|cat\nb.png|dog\nc.png|cat\n", ABC, name="list.txt"),
    "comma in .txt": Case("a.png, cat\nb.png, dog\nc.png, cat\n", ABC, name="list.txt"),
    "spaces": Case("a.png   cat\nb.png dog\nc.png  cat\n", ABC, name="list.txt"),
    "label first": Case("cat a.png\ndog b.png\ncat c.png\n", ABC, name="list.txt"),
    "label first, with titles": Case("label,path\ncat,a.png\ndog,b.png\ncat,c.png\n", ABC, note="column 1 'label'"),
    "spaces in classes": Case(
        "a.png great white shark\nb.png cat\nc.png great white shark\n",
        {"a.png": "great white shark", "b.png": "cat", "c.png": "great white shark"},
        name="list.txt",
    ),
    "quoted spaces": Case(
        '"my cat.png" "great cat"\nb.png dog\n',
        {"my cat.png": "great cat", "b.png": "dog"},
        files=("my cat.png", "b.png"),
        name="list.txt",
    ),
    "spaces in paths": Case(
        "my cat.png 3\nb.png 0\n", {"my cat.png": "3", "b.png": "0"}, files=("my cat.png", "b.png"), name="list.txt"
    ),
    "commas in classes, quoted": Case(
        'a.png,"tench, Tinca tinca"\nb.png,dog\nc.png,dog\n',
        {"a.png": "tench, Tinca tinca", "b.png": "dog", "c.png": "dog"},
    ),
    "commas in classes, not quoted": Case(
        "a.png,tench, Tinca tinca\nb.png,dog\nc.png,dog\n",
        {"a.png": "tench, Tinca tinca", "b.png": "dog", "c.png": "dog"},
    ),
    "commas in paths, not quoted": Case(
        "x, y.png,cat\nb.png,dog\n", {"x, y.png": "cat", "b.png": "dog"}, files=("x, y.png", "b.png")
    ),
    "pandas with index": Case(",path,label\n0,a.png,cat\n1,b.png,dog\n2,c.png,cat\n", ABC, note="column 3 'label'"),
    "pandas with index, saved twice": Case(
        "Unnamed: 0,path,kind\n0,a.png,cat\n1,b.png,dog\n2,c.png,cat\n", ABC, note="column 3 'kind'"
    ),
    "pandas without titles": Case(",0,1\n0,a.png,cat\n1,b.png,dog\n2,c.png,cat\n", ABC),
    "count before path": Case("1 a.png\n2 b.png\n3 c.png\n", dict.fromkeys(FLAT), note=NO_LABELS, name="images.txt"),
    "write.table of R": Case('"label"\n"a.png" "cat"\n"b.png" "dog"\n"c.png" "cat"\n', ABC, name="list.txt"),
    "no extensions": Case(
        "id,breed\na,cat\nb,dog\nc,cat\n",
        {"train/a.jpg": "cat", "train/b.jpg": "dog", "train/c.jpg": "cat"},
        files=("train/a.jpg", "train/b.jpg", "train/c.jpg"),
        note="'a' is 'train/a.jpg'",
    ),
    "hexadecimal ids without titles": Case(
        "00a1,cat\n00b2,dog\n00c3,cat\n",
        {"00a1.png": "cat", "00b2.png": "dog", "00c3.png": "cat"},
        files=("00a1.png", "00b2.png", "00c3.png"),
    ),
    "numbers as names of files": Case(
        "id,label\n1,2\n2,0\n3,2\n", {"1.png": "2", "2.png": "0", "3.png": "2"}, files=("1.png", "2.png", "3.png")
    ),
    "in a sub-folder": Case("a.png,cat\nb.png,dog\nc.png,cat\n", ABC_IMG, files=IN_IMG, note="'a.png' is 'img/a.png'"),
    "in two sub-folders": Case(
        "a.png,cat\nb.png,dog\n", {"part_1/a.png": "cat", "part_2/b.png": "dog"}, files=("part_1/a.png", "part_2/b.png")
    ),
    "two folders deep": Case(
        "a,cat\nb,dog\n",
        {"data/images/a.png": "cat", "data/images/b.png": "dog"},
        files=("data/images/a.png", "data/images/b.png"),
    ),
    "a column names the folder": Case(
        "split,file,label\ntrain,a.png,cat\ntest,a.png,dog\ntest,b.png,cat\n",
        {"test/a.png": "dog", "test/b.png": "cat", "train/a.png": "cat"},
        files=("train/a.png", "test/a.png", "test/b.png"),
    ),
    "the class is the folder": Case(
        "file,label\n1.png,cat\n1.png,dog\n", {"cat/1.png": "cat", "dog/1.png": "dog"}, files=("cat/1.png", "dog/1.png")
    ),
    "beside the list's folder": Case(
        "a 1\nb 2\n",
        {"../images/a.png": "1", "../images/b.png": "2"},
        files=("../images/a.png", "../images/b.png"),
        name="list.txt",
    ),
    "paths of another machine": Case(
        "/home/ann/pets/img/a.png,cat\n/home/ann/pets/img/b.png,dog\n/home/ann/pets/img/c.png,cat\n",
        ABC_IMG,
        files=IN_IMG,
        note="without their beginning, '/home/ann/pets'",
    ),
    "paths from a folder above": Case(
        "data/img/a.png,cat\ndata/img/b.png,dog\n", {"img/a.png": "cat", "img/b.png": "dog"}, files=IN_IMG
    ),
    "back-slashes": Case("img\\a.png,cat\r\nimg\\b.png,dog\r\nimg\\c.png,cat\r\n", ABC_IMG, files=IN_IMG),
    "drive letters": Case(
        "D:\\pets\\img\\a.png,cat\nD:\\pets\\img\\b.png,dog\n", {"img/a.png": "cat", "img/b.png": "dog"}, files=IN_IMG
    ),
    "other case": Case("A.PNG,cat\nB.PNG,dog\n", {"a.png": "cat", "b.png": "dog"}),
    "BOM": Case("\ufefffile,label\na.png,cat\nb.png,dog\nc.png,cat\n".encode(), ABC),
    "UTF-16": Case("file\tlabel\r\na.png\tKäse\r\nb.png\tdog\r\n".encode("utf-16"), {"a.png": "Käse", "b.png": "dog"}),
    "UTF-16 without a mark": Case("a.png,cat\nb.png,dog\n".encode("utf-16-le"), {"a.png": "cat", "b.png": "dog"}),
    "Latin-1": Case(
        "a.png,Käse\nb.png,dog\n".encode("latin-1"), {"a.png": "Käse", "b.png": "dog"}, note="Windows-1252"
    ),
    "old Mac line ends": Case("a.png,cat\rb.png,dog\rc.png,cat\r", ABC),
    "sep= of Excel": Case("sep=;\nfile;label\na.png;cat\nb.png;dog\nc.png;cat\n", ABC),
    "comments and empty lines": Case("# made by hand\n\na.png,cat\n\n#b.png,bird\nb.png,dog\nc.png,cat\n\n", ABC),
    "empty cells at the ends": Case("file,label,\na.png,cat,\nb.png,dog,\nc.png,cat,\n", ABC),
    "ImageNet's val.txt": Case(
        "ILSVRC2012_val_00000001.JPEG 65\nILSVRC2012_val_00000002.JPEG 970\n",
        {"val/ILSVRC2012_val_00000001.JPEG": "65", "val/ILSVRC2012_val_00000002.JPEG": "970"},
        files=("val/ILSVRC2012_val_00000001.JPEG", "val/ILSVRC2012_val_00000002.JPEG"),
        name="val.txt",
        numbers=(65, 970),
        note="2 classes: 65, 970",
    ),
    "numbers": Case("a.png,10\nb.png,2\nc.png,0\n", {"a.png": "10", "b.png": "2", "c.png": "0"}, numbers=(10, 2, 0)),
    "floats": Case(
        "a.png,10.0\nb.png,2.0\nc.png,0.0\n", {"a.png": "10", "b.png": "2", "c.png": "0"}, numbers=(10, 2, 0)
    ),
    "leading zeros": Case(
        "a.png,010\nb.png,002\nc.png,001\n", {"a.png": "010", "b.png": "002", "c.png": "001"}, numbers=(10, 2, 1)
    ),
    "-1 is no class": Case(
        "a.png,1\nb.png,-1\nc.png,0\n", {"a.png": "1", "b.png": None, "c.png": "0"}, note="1 image has no class"
    ),
    "-1 and 1 are two classes": Case(
        "a.png,1\nb.png,-1\nc.png,1\n", {"a.png": "1", "b.png": "-1", "c.png": "1"}, numbers=(1, 0, 1)
    ),
    "nan and nothing": Case(
        "file,label\na.png,2.0\nb.png,nan\nc.png,\n",
        {"a.png": "2", "b.png": None, "c.png": None},
        note="2 images have no class",
    ),
    "none is a class": Case("a.png,none\nb.png,scratch\n", {"a.png": "none", "b.png": "scratch"}),
    "classes with numbers": Case(
        "a.png,class10\nb.png,class9\nc.png,class1\n",
        {"a.png": "class10", "b.png": "class9", "c.png": "class1"},
        names=("class1", "class9", "class10"),
    ),
    "fractions": Case(
        "a.png,0.5\nb.png,10.5\nc.png,2.5\n",
        {"a.png": "0.5", "b.png": "10.5", "c.png": "2.5"},
        names=("0.5", "2.5", "10.5"),
    ),
    "large numbers": Case("a.png,20240102\nb.png,9\n", {"a.png": "20240102", "b.png": "9"}, names=("9", "20240102")),
    "ISIC's columns": Case(
        "image,MEL,NV,UNK\na,0.0,1.0,0.0\nb,1.0,0.0,0.0\nc,0.0,1.0,0.0\n",
        {"a.png": "NV", "b.png": "MEL", "c.png": "NV"},
        names=("MEL", "NV", "UNK"),
        note="columns 2 to 4, of which one is 1, as class",
    ),
    "number and name": Case(
        "path,class_id,class_name\na.png,7,dog\nb.png,2,cat\nc.png,7,dog\n",
        {"a.png": "dog", "b.png": "cat", "c.png": "dog"},
        numbers=(7, 2, 7),
        note="column 2 'class_id' and column 3 'class_name'",
    ),
    "HAM10000": Case(
        "lesion_id,image_id,dx,dx_type,age,sex\nH1,a,bkl,histo,80.0,male\nH1,b,nv,histo,80.0,male\nH2,c,bkl,histo,50.0,female\n",
        {"p1/a.jpg": "bkl", "p1/b.jpg": "nv", "p2/c.jpg": "bkl"},
        files=("p1/a.jpg", "p1/b.jpg", "p2/c.jpg"),
        note="column 3 'dx'",
    ),
    "GTSRB": Case(
        "Width;Height;Roi.X1;ClassId;Path\n27;26;5;20;Train/20/x.png\n28;27;5;3;Train/3/y.png\n",
        {"Train/20/x.png": "20", "Train/3/y.png": "3"},
        files=("Train/20/x.png", "Train/3/y.png"),
        numbers=(20, 3),
    ),
    "chosen by name": Case(
        "image,age,sex\na.png,40,m\nb.png,50,f\nc.png,40,m\n",
        {"a.png": "m", "b.png": "f", "c.png": "m"},
        label_column="Sex",
    ),
    "chosen by number": Case(
        "a.png 1 2\nb.png 3 2\nc.png 1 5\n",
        {"a.png": "1", "b.png": "3", "c.png": "1"},
        label_column="2",
        name="list.txt",
    ),
    "CelebA": Case(
        "3\nSmiling Young\na.png  1 -1\nb.png -1  1\nc.png  1  1\n",
        {"a.png": "1", "b.png": "-1", "c.png": "1"},
        label_column="Smiling",
        name="list_attr.txt",
    ),
    "several labels in a cell": Case(
        "a.png,haze|primary\nb.png,haze\nc.png,primary\n",
        {"a.png": "haze|primary", "b.png": "haze", "c.png": "primary"},
        note="'haze|primary' are a class of their own",
    ),
    "only paths": Case("a.png\nb.png\nc.png\n", dict.fromkeys(FLAT), note=NO_LABELS, name="list.txt"),
    "only paths, with a title": Case("filename\na.png\nb.png\n", dict.fromkeys(("a.png", "b.png")), note=NO_LABELS),
    "paths and a split": Case(
        "file,split\na.png,train\nb.png,val\n", dict.fromkeys(("a.png", "b.png")), note=NO_LABELS
    ),
    "a file is missing": Case(
        "a.png,cat\ngone.png,bird\nc.png,cat\n",
        {"a.png": "cat", "c.png": "cat", "gone.png": "bird"},
        note="1 of 3 files are not there, first line 2",
    ),
    "the first file is missing": Case(
        "gone.png,bird\nb.png,dog\nc.png,cat\n", {"b.png": "dog", "c.png": "cat", "gone.png": "bird"}
    ),
    "an image twice": Case("a.png,cat\nb.png,dog\n./a.png,cat\n", {"a.png": "cat", "b.png": "dog"}),
    "a list without an extension": Case("a.png 3\nb.png 1\n", {"a.png": "3", "b.png": "1"}, name="val_list"),
    "a title that is a file's name": Case(
        "image,label\na,cat\nb,dog\nc,cat\n", ABC, files=(*FLAT, "image.png"), note="column 2 'label'"
    ),
    "single quotes": Case("'a.png','cat'\n'b.png','dog'\n'c.png','cat'\n", ABC),
    "titles repeated, as in joined files": Case("image,label\na.png,cat\nb.png,dog\nimage,label\nc.png,cat\n", ABC),
    "boxes": Case(
        "patientId,x,y,Target\na,NaN,NaN,0\nb,264.0,152.0,1\nc,NaN,NaN,0\n",
        {"a.png": "0", "b.png": "1", "c.png": "0"},
        note="column 4 'Target'",
    ),
    "boxes without titles": Case(
        "a.png,10,20,30,40,cat\nb.png,1,2,3,4,dog\nc.png,1,2,3,4,cat\nd.png,5,5,5,5,dog\n",
        ABC | {"d.png": "dog"},
        files=(*FLAT, "d.png"),
        note="column 6 as class",
    ),
    "images and masks": Case(
        "image,mask,label\nimages/a.png,masks/a.png,x\nimages/b.png,masks/b.png,y\n",
        {"images/a.png": "x", "images/b.png": "y"},
        files=("images/a.png", "images/b.png", "masks/a.png", "masks/b.png"),
    ),
    "names of files as classes": Case("a.png,b\nb.png,a\nc.png,a\n", {"a.png": "b", "b.png": "a", "c.png": "a"}),
    "a split without a title": Case("a.png,cat,train\nb.png,dog,test\nc.png,cat,train\n", ABC),
    "a digit in the titles": Case(
        "photo1,label\n1.png,cat\n2.png,dog\n3.png,cat\n",
        {"1.png": "cat", "2.png": "dog", "3.png": "cat"},
        files=("1.png", "2.png", "3.png"),
        note="column 2 'label' as class: 2 classes: cat, dog",
    ),
    "a digit in the titles, no extensions": Case(
        "x1,y1\n1,cat\n2,dog\n3,cat\n",
        {"1.png": "cat", "2.png": "dog", "3.png": "cat"},
        files=("1.png", "2.png", "3.png"),
        note="column 2 'y1' as class",
    ),
    "a digit in the titles, folders": Case(
        "img2d,cls\nd/1.png,cat\nd/2.png,dog\n", {"d/1.png": "cat", "d/2.png": "dog"}, files=("d/1.png", "d/2.png")
    ),
    "the first id is missing": Case(
        "00a1,cat\n10b2,dog\n1a03,cat\n",
        {"00a1": "cat", "10b2.png": "dog", "1a03.png": "cat"},
        files=("10b2.png", "1a03.png"),
        note="1 of 3 files are not there, first line 1",
    ),
    "classes that are names of files, too, and files are missing": Case(
        "id,label\n0,1\n1,2\n2,1\n3,2\n4,1\n",
        {"0": "1", "1.png": "2", "2.png": "1", "3.png": "2", "4.png": "1"},
        files=("1.png", "2.png", "3.png", "4.png"),
        numbers=(1, 2, 1, 2, 1),
    ),
    "numpy.savetxt": Case(
        "a.png,1.000000000000000000e+01\nb.png,2.000000000000000000e+00\n",
        {"a.png": "10", "b.png": "2"},
        numbers=(10, 2),
    ),
    "file://": Case("file://a.png,cat\nfile://b.png,dog\n", {"a.png": "cat", "b.png": "dog"}),
}


def load(folder, case):
    home = folder / "lists"
    home.mkdir()
    for path in case.files:
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (1, 1)).save(home / path, "PNG")
    (home / case.name).write_bytes(case.text if isinstance(case.text, bytes) else case.text.encode())
    return load_images(home / case.name, label_column=case.label_column)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_lists_of_other_people(tmp_path, case):
    images = load(tmp_path, case)
    names = [None if label is None else images.classes[label] for label in images.labels]
    shown = [path.replace(str(tmp_path), "..") for path in images.paths]
    assert dict(zip(shown, names, strict=True)) == case.expected
    said = " / ".join((*images.notes, images.note))
    assert case.note in said
    assert case.numbers is None or images.labels == case.numbers
    assert case.names is None or images.classes == case.names
    assert images.classes is None or " as class: " in said
    for number, path in enumerate(images.paths):
        assert not (tmp_path / "lists" / path).exists() or images.read(number).size == (1, 1)


WRONG = {
    "a line with another separator": Case(
        "a.png,cat\nb.png,dog\nc.png;cat\n", {}, note="line 3 is not separated as the others are: 'c.png;cat'"
    ),
    "three separators": Case("a.png,cat\nb.png;dog\nc.png\tcat\n", {}, note="line 1 is not separated as"),
    "several columns": Case(
        "image,age,sex\na.png,40,m\nb.png,50,f\nc.png,40,m\n",
        {},
        note="which column is the class.*--label-column.*2 'age', 3 'sex'",
    ),
    "no such column": Case(
        "image,age\na.png,4\nb.png,5\n", {}, note="--label-column 'dx'.*it has 1 'image', 2 'age'", label_column="dx"
    ),
    "several labels": Case("image,a,b,d\na.png,1,1,0\nb.png,0,1,0\nc.png,0,0,1\n", {}, note="line 2 has 2 of them"),
    "train and test": Case(
        "a.png,cat\nb.png,dog\n",
        {},
        files=("train/a.png", "test/a.png", "train/b.png"),
        note="line 1: 'a.png' may be 'test/a.png' or 'train/a.png'",
    ),
    "two extensions": Case("a,cat\n", {}, files=("a.png", "a.jpg"), note="line 1: 'a' may be 'a.jpg' or 'a.png'"),
    "another folder": Case(
        "val/a.png,cat\nval/b.png,dog\n",
        {},
        files=("train/a.png", "train/b.png"),
        note="not one of its 2 files is there; the first, line 1: 'val/a.png'",
    ),
    "two labels": Case(
        "a.png,cat\nb.png,dog\na.png,dog\n",
        {},
        note="line 3: 'a.png' is labelled 'dog', on line 1 'cat'; keep one line",
    ),
    "no path": Case("file,label\na.png,cat\n,dog\n", {}, note="line 3 has no path"),
    "comma without quotes": Case(
        "file,label\na.png,tench, Tinca tinca\nb.png,cod, Gadus\n",
        {},
        note="line 2 has more cells than there are titles on line 1",
    ),
    "pairs of images": Case(
        "left,right,same\na.png,b.png,1\nb.png,c.png,0\n", {}, note="columns 1 and 2 both name files"
    ),
    "an Excel file": Case(b"PK\x03\x04\x00\x00", {}, note="is an Excel or ZIP file; save the list as CSV"),
    "a photograph": Case(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01", {}, note="is no text"),
    "JSON lines": Case('{"image": "a.png", "label": "cat"}\n', {}, note="is JSON or XML; save the list as CSV"),
    "the column of paths": Case("a.png,cat\nb.png,dog\n", {}, label_column="1", note="holds the paths"),
    "classes of words without quotes": Case(
        "a.png Boeing 707\nb.png Cessna 172\n", {}, note="or put a class of several words into quotes"
    ),
    "fine and coarse": Case("path,fine,coarse\na.png,1,0\nb.png,2,0\n", {}, note="--label-column NAME or NUMBER"),
    "a table of another kind": Case(
        b"PK", {}, name="list.xlsx", note="is neither a folder nor a list; a list is a .csv"
    ),
    "several labels on several lines": Case(
        "image,label\na.png,cat\na.png,dog\n", {}, note="line 3: 'a.png' is labelled 'dog', on line 2 'cat'"
    ),
    "web addresses": Case(
        "https://x.org/a.png,cat\nhttps://x.org/b.png,dog\n", {}, note="not one of its 2 files is there"
    ),
    "nothing": Case("", {}, note="the list is empty"),
    "only titles": Case("path,label\n", {}, note="the list is empty"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_understood_is_told_in_one_line(tmp_path, case):
    with pytest.raises(ImagesError, match=case.note) as caught:
        load(tmp_path, case)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


LABELS = {  # as a list has them: what they are
    "text": {"cat": "cat", "dog": "dog", "owl": "owl"},
    "words": {"great cat": "great cat", "sea lion": "sea lion", "owl": "owl"},
    "commas": {"tench, Tinca tinca": "tench, Tinca tinca", "owl": "owl"},
    "numbers": {"0": "0", "3": "3", "12": "12"},
    "floats": {"0.0": "0", "3.0": "3", "12.0": "12"},
    "padded": {"000": "000", "003": "003", "012": "012"},
}
TITLES = (("image_id", "label"), ("imgpath", "diagnosis"), ("filename", "breed"), ("Image", "Id"), ("foto", "soort"))
PATHS = {
    "relative": lambda folder, path: path,
    "name": lambda folder, path: path.rsplit("/", 1)[-1],
    "absolute": lambda folder, path: f"{folder}/{path}",
    "back-slashes": lambda folder, path: path.replace("/", "\\"),
    "another machine": lambda folder, path: f"/home/ann/pets/{path}",
}


def random_list(folder, chance):
    """Write a list of random form; return its file and the class of each image."""
    place, suffix = chance.choice(("images", "data/train", "my images")), chance.choice((".jpg", ".JPG", ""))
    paths = [f"{place}/IMG_{number:04}" for number in range(chance.randint(2, 20))]
    kind, spell = LABELS[chance.choice(list(LABELS))], PATHS[chance.choice(list(PATHS))]
    labels = [chance.choice(list(kind)) for _ in paths]
    (folder / place).mkdir(parents=True)
    for path in paths:
        (folder / f"{path}{suffix or '.jpg'}").write_bytes(b"")
    titles, has_titles, has_count = chance.choice(TITLES), chance.random() < 0.7, chance.random() < 0.3
    is_label_first = not has_count and chance.random() < 0.3
    rows = [titles] if has_titles else []
    rows += [(spell(folder, path + suffix), label) for path, label in zip(paths, labels, strict=True)]
    rows = [row[::-1] if is_label_first else row for row in rows]
    if has_count and has_titles:
        rows = [("" if number == 0 else str(number - 1), *row) for number, row in enumerate(rows)]
    out = io.StringIO()
    quoting, ends = chance.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)), chance.choice(("\n", "\r\n"))
    csv.writer(out, delimiter=chance.choice("\t;,| "), quoting=quoting, lineterminator=ends).writerows(rows)
    file = folder / f"list{chance.choice(('.csv', '.txt', '.tsv'))}"
    file.write_bytes(out.getvalue().encode(chance.choice(("utf-8", "utf-8-sig", "utf-16"))))
    return file, {f"{path}{suffix or '.jpg'}": kind[label] for path, label in zip(paths, labels, strict=True)}


@pytest.mark.parametrize(
    "seeds", [range(25), pytest.param(range(25, 400), marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_lists_of_random_form_are_understood(tmp_path, seeds):
    for seed in seeds:
        (tmp_path / str(seed)).mkdir()
        file, expected = random_list(tmp_path / str(seed), random.Random(seed))
        images = load_images(file)
        found = zip(images.paths, (images.classes[label] for label in images.labels), strict=True)
        assert dict(found) == expected, (seed, file.read_text("utf-8", "replace")[:200])


def test_a_label_column_is_for_lists(tmp_path):
    Image.new("RGB", (1, 1)).save(tmp_path / "a.png")
    with pytest.raises(ImagesError, match="--label-column"):
        load_images(tmp_path, label_column="x")
