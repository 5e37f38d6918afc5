"""The words that synthetic people and places are made of.

Every name is common enough to belong to nobody in particular. E-mail domains end in `.example` (RFC 2606), telephone
numbers come from the ranges that the Swedish post and telecom authority keeps for fiction.
"""

from __future__ import annotations

from typing import NamedTuple


class Origin(NamedTuple):
    """Names that go together, and the language (ISO 639-3) spoken at home by those who have them."""

    language: str
    women: list[str]
    men: list[str]
    last: list[str]


class Town(NamedTuple):
    """A town with its municipality (four digits, SCB) and the start of its postal codes."""

    name: str
    municipality_code: str
    postal_prefix: str


_ORIGINS = """\
swe: Alice Maja Vera Alma Astrid Agnes | Noah William Hugo Nils Elias Adam | Andersson Johansson Nilsson Olsson Björk
swe: Märta Klara Tyra Stella Julia Moa | August Lucas Axel Leo Oscar Åke | Karlsson Eriksson Hansson Sjöberg Åkesson
swe: Hanna Emma Ida Åsa Anna Karin | Arvid Björn Gustav Viggo Otto Isak | Larsson Persson Lindberg Håkansson Öberg
swe: Sara Lena Eva Malin Elin Ulrika | Måns Gösta Lars Anders Johan Erik | Svensson Jönsson Löfgren Berg Nyström Holm
swe: Helena Frida Signe Ebba Freja Saga | Per Daniel Göran Håkan Pär Jonas | Lind Falk Ek Ström Åberg Dahl Öhman
ara: Fatima Layla Nour Yasmin Amina Rima | Ahmad Omar Ali Hassan Khaled Sami | Al-Hassan Haddad Khalil Mansour Najjar
som: Hodan Ayaan Sahra Halima Nasra Hibo | Abdi Mohamed Yusuf Liban Guled Said | Abdi Hassan Warsame Farah Osman Nur
fin: Aino Helmi Päivi Kaisa Tuuli Sanna | Eino Mikko Jussi Väinö Antti Timo | Virtanen Korhonen Mäkinen Hämäläinen
pol: Zofia Maja Hanna Małgorzata Ewa | Jakub Antoni Paweł Tomasz Michał | Nowak Wiśniewski Wójcik Kamiński Szymański
bos: Amra Lejla Emina Selma Adna Dženana | Emir Adnan Haris Tarik Kenan Edin | Hodžić Begić Hadžić Delić Softić
fas: Shirin Nasrin Parisa Leila Mina Roya | Reza Amir Dariush Kian Babak Omid | Ahmadi Hosseini Karimi Moradi Jafari
kmr: Berivan Zilan Rojda Evin Dilan Avin | Azad Rojhat Baran Serhat Hozan Rebin | Aydin Demir Özdemir Çelik Şahin
spa: Camila Lucía Sofía Elena Inés Carmen | Mateo Diego Andrés Joaquín Martín | García Rodríguez González Muñoz Rojas
tir: Selam Feven Rahwa Senait Winta Hiwet | Yonas Filmon Abel Samuel Robel Dawit | Habte Gebremedhin Kidane Tekle Haile
"""
"""Language: names of women | names of men | last names."""


def _words(text: str) -> list[str]:
    return text.split()


def _origin(line: str) -> Origin:
    language, _, names = line.partition(":")
    return Origin(language, *map(_words, names.split("|")))


_LINES = _ORIGINS.splitlines()
ORIGINS = [_origin(line) for line in _LINES[:5] * 5 + _LINES[5:]]
"""Origins, repeated by how common they are: three families in four have Swedish names."""

STREETS = _words(
    "Storgatan Kyrkogatan Skolgatan Björkvägen Ängsvägen Granstigen Tallbacken Åkergatan Östergatan Västergatan "
    "Parkvägen Ekvägen Lingonvägen Blåbärsstigen Kvarngatan Sjövägen Trädgårdsgatan Älvgatan Lärkvägen Ringvägen"
)

_TOWNS = (
    "Uppsala 0380 752, Linköping 0580 582, Örebro 1880 702, Helsingborg 1283 252, Umeå 2480 903, Växjö 0780 352, "
    "Karlstad 1780 652, Östersund 2380 831"
)
TOWNS = [Town(*town.split()) for town in _TOWNS.split(", ")]

SCHOOL_STEMS = _words(
    "Björk Ek Lind Gran Tall Rönn Sol Äng Backa Sjö Ås Norr Söder Öster Väster Hag Berg Dal Strand Kvarn Park Fågel "
    "Svan Lärk Vall Kung Slott Bruk Hamn Torp"
)

DEPARTMENTS = _words("Blåbäret Lingonet Smultronet Hallonet Igelkotten Ekorren Räven Haren Ugglan Fjärilen")
"""What the groups of a preschool are called."""

CLUBS = _words("Elevrådet Kören Schackklubben Läxhjälpen Skoltidningen Biblioteksrådet")

PROGRAMS = {
    "NA": "Naturvetenskapsprogrammet",
    "SA": "Samhällsvetenskapsprogrammet",
    "EK": "Ekonomiprogrammet",
    "VO": "Vård- och omsorgsprogrammet",
}
"""National programmes of the upper secondary school: code and title."""

SUBJECTS = {
    "SV": "Svenska",
    "MA": "Matematik",
    "EN": "Engelska",
    "IDH": "Idrott och hälsa",
    "BI": "Biologi",
    "FY": "Fysik",
    "KE": "Kemi",
    "HI": "Historia",
    "GE": "Geografi",
    "SH": "Samhällskunskap",
    "RE": "Religionskunskap",
    "BL": "Bild",
    "MU": "Musik",
    "SL": "Slöjd",
    "TK": "Teknik",
    "HKK": "Hem- och konsumentkunskap",
    "M2": "Moderna språk",
}
"""Subjects of the compulsory school: code and title."""

COURSES = {
    "MATMAT01a": "Matematik 1a",
    "ENGENG05": "Engelska 5",
    "SVESVE01": "Svenska 1",
    "HISHIS01a1": "Historia 1a1",
    "IDRIDR01": "Idrott och hälsa 1",
    "SAMSAM01a1": "Samhällskunskap 1a1",
    "MATMAT02a": "Matematik 2a",
    "ENGENG06": "Engelska 6",
    "SVESVE02": "Svenska 2",
    "NAKNAK01a1": "Naturkunskap 1a1",
    "RELREL01": "Religionskunskap 1",
    "SVESVE03": "Svenska 3",
    "ENGENG07": "Engelska 7",
    "FILFIL01": "Filosofi 1",
    "PSKPSY01": "Psykologi 1",
    "IDRIDR02": "Idrott och hälsa 2",
}
"""Courses of the upper secondary school: code and title."""

MOBILE_NUMBERS = [f"070-{number}" for number in range(1740605, 1740700)]
_LANDLINES = {"08": 46500400, "031": 3900600, "040": 6280400, "0980": 319200}
PHONE_NUMBERS = MOBILE_NUMBERS + [
    f"{area}-{number}" for area, first in _LANDLINES.items() for number in range(first, first + 100)
]
"""Every number that is kept for fiction, mobile numbers first; there are 495 and no more."""
