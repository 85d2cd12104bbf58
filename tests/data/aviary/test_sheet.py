from n3lib.data.aviary.sheet import contact_sheet
from n3lib.data.aviary.species import make_species


def test_contact_sheet() -> None:
    figure = contact_sheet(make_species(2, seed=13))
    assert len(figure.axes) == 8
    assert "".join(text.get_text() for text in figure.texts).startswith(make_species(1, seed=13)[0].name)
