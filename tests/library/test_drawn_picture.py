import numpy as np
import pytest
import torch

import lurk
from lurk.errors import LurkError
from lurk.library.drawn_picture import draw_picture, stored_picture
from lurk.storage.webp import decode_view


def test_a_picture_is_drawn_once_stored_and_shown(index):
    assert stored_picture(index, "conv", 0) is None
    assert "No picture yet" in index.unit("conv", 0)._repr_html_()
    figure = index.unit("conv", 0).plot_picture(device="cpu")
    drawn = stored_picture(index, "conv", 0)
    assert drawn is not None
    assert len(figure.layout.images) == 1
    reached = drawn.reached[0]
    assert f"reaches {reached['reached_max']:.4g}" in figure.layout.annotations[0].text
    assert reached["best_real_max"] == index.unit("conv", 0).hits_max[0].score
    card = index.unit("conv", 0)._repr_html_()
    assert "No picture yet" not in card
    assert f"{reached['reached_max']:.4g}" in card
    assert draw_picture(lurk.Index(index.folder), "conv", 0) == drawn


def test_the_value_it_reaches_is_the_unit_s_for_the_stored_picture(index, model):
    drawn = draw_picture(lurk.Index(index.folder, model=model), "conv", 0)
    picture = torch.from_numpy(decode_view(drawn.webp[0], 3).transpose(2, 0, 1).astype(np.float32) / 255)
    with torch.no_grad():
        value = model.module.conv(picture[None]).relu()[0, 0].max()
    assert float(value) == pytest.approx(drawn.reached[0]["reached_max"], rel=0.03)


def test_without_a_model_one_line_says_how(index):
    with pytest.raises(
        LurkError, match=r"^unit 1 of conv has no picture yet; lurk\.Index\(folder, model=model\)"
    ) as error:
        lurk.Index(index.folder).unit("conv", 1).plot_picture()
    assert "lurk.visualize(model, 'conv', 1)" in str(error.value)
