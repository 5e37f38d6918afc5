"""The words that synthetic people and places are made of.

Every name is common enough to belong to nobody in particular. E-mail domains end in `.example` (RFC 2606), telephone
numbers come from the ranges that the Swedish post and telecom authority keeps for fiction.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple


class Name(NamedTuple):
    """A name as it is written, and as it stands in an e-mail address."""

    text: str
    mail: str


class Origin(NamedTuple):
    """Names that go together, and the language (ISO 639-3) spoken at home by those who have them."""

    language: str
    girls: tuple[Name, ...]
    boys: tuple[Name, ...]
    women: tuple[Name, ...]
    men: tuple[Name, ...]
    last: tuple[Name, ...]


class Town(NamedTuple):
    """A town with its municipality (four digits, SCB) and the start of its postal codes."""

    name: str
    municipality_code: str
    postal_prefix: str


def _words(text: str) -> list[str]:
    return text.split()


def _names(text: str) -> tuple[Name, ...]:
    return tuple(Name(name, _ascii(name)) for name in text.split())


def _ascii(name: str) -> str:
    """Return a name for an e-mail address: lower case, without accents."""
    plain = unicodedata.normalize("NFKD", name.lower().replace("ł", "l").replace("ø", "o"))
    return "".join(letter for letter in plain if "a" <= letter <= "z" or letter == "-")


_SWEDISH = Origin(
    "swe",
    _names(
        "Alice Maja Vera Alma Selma Elsa Lilly Astrid Wilma Freja Olivia Ebba Saga Agnes Ines Alva Nova Signe Ester "
        "Iris Ellen Märta Tuva Klara Tyra Sigrid Stella Leia Edith Julia Moa Ella Hanna Emma Ida Nellie Åsa Elvira "
        "Lova Juni"
    ),
    _names(
        "Noah William Hugo Liam Nils Elias Oliver Adam August Sam Lucas Axel Leo Vincent Love Oscar Alfred Arvid "
        "Walter Ludvig Elliot Theo Björn Frans Gustav Melvin Viggo Otto Sixten Josef Åke Isak Edvin Kalle Valter "
        "Filip Måns Ture Gösta Malte"
    ),
    _names(
        "Anna Maria Karin Sara Emma Lena Kristina Eva Malin Jenny Hanna Annika Linda Susanne Elin Ulrika Johanna "
        "Sofia Camilla Åsa Therese Helena Maja Ida Jessica Frida Märta Katarina Cecilia Pernilla"
    ),
    _names(
        "Lars Anders Mikael Johan Erik Per Peter Fredrik Thomas Daniel Andreas Marcus Magnus Mattias Jonas Niklas "
        "Björn Stefan Henrik Patrik Göran Håkan Pär Jörgen David Simon Emil Oskar Åke Gustav"
    ),
    _names(
        "Andersson Johansson Karlsson Nilsson Eriksson Larsson Olsson Persson Svensson Gustafsson Pettersson Jonsson "
        "Jansson Hansson Bengtsson Jönsson Lindberg Jakobsson Magnusson Lindström Olofsson Lindqvist Lindgren Berg "
        "Axelsson Bergström Lundberg Lind Lundgren Lundqvist Mattsson Berglund Fredriksson Sandberg Henriksson "
        "Forsberg Sjöberg Wallin Engström Eklund Danielsson Lundin Håkansson Björk Bergman Gunnarsson Holm Wikström "
        "Samuelsson Isaksson Fransson Bergqvist Nyström Holmberg Arvidsson Löfgren Söderberg Nyberg Blomqvist "
        "Claesson Nordström Mårtensson Lundström Viklund Björklund Berggren Sandström Nordin Ström Åberg Hermansson "
        "Ekström Falk Holmgren Dahlberg Hellström Hedlund Sundberg Sjögren Ek Blom Abrahamsson Martinsson Öberg "
        "Andreasson Strand Månsson Åkesson Hansen Norberg Lindholm Dahl Jonasson Åström Öhman Ågren Älvgren"
    ),
)

_OTHERS = """\
ara Fatima Mariam Layla Nour Yasmin Amina Salma Hala Rima Zeinab
Ahmad Omar Yousef Ali Hassan Ibrahim Khaled Karim Sami Mustafa
Al-Hassan Haddad Khalil Mansour Ibrahim Saleh Hamdan Najjar Aziz Darwish
som Hodan Ayaan Sahra Ifrah Halima Nasra Fartun Hibo
Abdi Mohamed Yusuf Liban Guled Ayub Warsame Said
Abdi Hassan Warsame Farah Ali Osman Jama Nur
fin Aino Helmi Eeva Päivi Kaisa Tuuli Sanna Hilla
Eino Mikko Jussi Väinö Antti Timo Pekka Leevi
Virtanen Korhonen Mäkinen Nieminen Hämäläinen Laine Heikkinen Järvinen
pol Zofia Maja Hanna Agnieszka Katarzyna Małgorzata Ewa Oliwia
Jakub Antoni Paweł Tomasz Michał Piotr Stanisław Marek
Nowak Kowalski Wiśniewski Wójcik Kamiński Lewandowski Zieliński Szymański
bos Amra Lejla Emina Selma Adna Azra Merima Dženana
Emir Adnan Haris Tarik Damir Kenan Edin Amar
Hodžić Begić Hadžić Kovačević Delić Halilović Mujić Softić
fas Shirin Nasrin Parisa Leila Mina Roya Azadeh Nilufar
Reza Amir Dariush Kian Babak Arash Omid Farhad
Ahmadi Hosseini Karimi Rahimi Moradi Rezaei Tehrani Jafari
kmr Berivan Zilan Rojda Evin Dilan Helin Nazdar Avin
Azad Rojhat Baran Serhat Diyar Hozan Welat Rebin
Aydin Demir Kaya Yildiz Özdemir Çelik Şahin Polat
spa Camila Valentina Lucía Sofía Paula Elena Inés Carmen
Mateo Diego Santiago Andrés Joaquín Rafael Martín Pablo
García Rodríguez González López Fernández Muñoz Rojas Vargas
tir Selam Feven Rahwa Senait Luwam Winta Hiwet Mebrat
Yonas Filmon Abel Samuel Robel Isaias Tesfay Dawit
Tesfay Habte Gebremedhin Kidane Tekle Haile Berhane Mehari"""
"""Three lines for an origin: language and names of women, names of men, last names."""


def _others(lines: Sequence[str]) -> tuple[Origin, ...]:
    found: list[Origin] = []
    for head, men, last in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
        language, _, rest = head.partition(" ")
        women, others = _names(rest), _names(men)
        found.append(Origin(language, women, others, women, others, _names(last)))
    return tuple(found)


ORIGINS = (_SWEDISH,) * 30 + _others(_OTHERS.splitlines())
"""Origins, repeated by how common they are: three families in four have Swedish names."""

STREETS = _words(
    "Storgatan Kyrkogatan Skolgatan Björkvägen Ängsvägen Granstigen Tallbacken Rönnvägen Åkergatan Järnvägsgatan "
    "Östergatan Västergatan Södergatan Norrgatan Parkvägen Ekvägen Solrosgatan Lingonvägen Blåbärsstigen Kvarngatan "
    "Hagvägen Sjövägen Backvägen Slottsgatan Trädgårdsgatan Älvgatan Bäckvägen Lärkvägen Svanstigen Ringvägen"
)

_TOWNS = _words(
    "Uppsala_0380_752 Linköping_0580_582 Örebro_1880_702 Västerås_1980_722 Helsingborg_1283_252 "
    "Jönköping_0680_553 Norrköping_0581_602 Umeå_2480_903 Lund_1281_222 Borås_1490_503 Gävle_2180_802 "
    "Växjö_0780_352 Halmstad_1380_302 Karlstad_1780_652 Sundsvall_2281_852 Östersund_2380_831 "
    "Skellefteå_2482_931 Luleå_2580_972 Kalmar_0880_392 Malmö_1280_212"
)
TOWNS = tuple(Town(*town.split("_")) for town in _TOWNS)

SCHOOL_STEMS = _words(
    "Björk Ek Lind Gran Tall Rönn Sol Äng Backa Sjö Ås Norr Söder Öster Väster Hag Berg Dal Strand Kvarn Park Fågel "
    "Svan Lärk Vall Kung Slott Bruk Hamn Torp Lund Ask Alm Hassel Klöver Vitsipps Blåklocks Måne Stjärn Regnbågs"
)

DEPARTMENTS = _words(
    "Blåbäret Lingonet Smultronet Hallonet Igelkotten Ekorren Räven Haren Ugglan Nyckelpigan Fjärilen Humlan"
)
"""What the groups of a preschool are called."""

CLUBS = _words("Elevrådet Kören Schackklubben Läxhjälpen Skoltidningen Biblioteksrådet")

PROGRAMS = {
    "NA": "Naturvetenskapsprogrammet",
    "SA": "Samhällsvetenskapsprogrammet",
    "TE": "Teknikprogrammet",
    "EK": "Ekonomiprogrammet",
    "ES": "Estetiska programmet",
    "BA": "Bygg- och anläggningsprogrammet",
    "VO": "Vård- och omsorgsprogrammet",
    "EE": "El- och energiprogrammet",
}
"""National programmes of the upper secondary school: code and title."""

STUDENT_DOMAIN = "elev.skola.example"
STAFF_DOMAIN = "skola.example"
HOME_DOMAINS = ("post.example", "brev.example", "hemma.example")
WORK_DOMAIN = "arbete.example"

MOBILE_NUMBERS = tuple(f"070-{number}" for number in range(1740605, 1740700))
PHONE_NUMBERS = MOBILE_NUMBERS + tuple(
    f"{area}-{first + number}"
    for area, first in (("08", 46500400), ("031", 3900600), ("040", 6280400), ("0980", 319200))
    for number in range(100)
)
"""Every number that is kept for fiction, mobile numbers first; there are 495 and no more."""
