"""The words that synthetic people and places are made of. Knows nothing of records or of chance.

Every name is common enough to belong to nobody in particular. E-mail domains end in `.example` (RFC 2606), telephone
numbers come from the ranges that the Swedish post and telecom authority keeps for fiction.
"""

from __future__ import annotations

import unicodedata
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


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _names(text: str) -> tuple[Name, ...]:
    """Return the names in a text, with their letters reduced to ASCII for e-mail addresses."""
    return tuple(Name(name, _ascii(name)) for name in _listed(text))


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.lower().replace("ł", "l").replace("ø", "o"))
    return "".join(letter for letter in plain if "a" <= letter <= "z" or letter == "-")


_SWEDISH = Origin(
    "swe",
    _names(
        "Alice Maja Vera Alma Selma Elsa Lilly Astrid Wilma Freja Olivia Ebba Saga Agnes Ines Alva Nova Signe "
        "Ester Iris Ellen Märta Tuva Klara Tyra Sigrid Stella Leia Edith Julia Moa Ella Hanna Emma Ida Nellie Åsa "
        "Elvira Lova Juni"
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
        "Andersson Johansson Karlsson Nilsson Eriksson Larsson Olsson Persson Svensson Gustafsson Pettersson "
        "Jonsson Jansson Hansson Bengtsson Jönsson Lindberg Jakobsson Magnusson Lindström Olofsson Lindqvist "
        "Lindgren Berg Axelsson Bergström Lundberg Lind Lundgren Lundqvist Mattsson Berglund Fredriksson Sandberg "
        "Henriksson Forsberg Sjöberg Wallin Engström Eklund Danielsson Lundin Håkansson Björk Bergman Gunnarsson "
        "Holm Wikström Samuelsson Isaksson Fransson Bergqvist Nyström Holmberg Arvidsson Löfgren Söderberg Nyberg "
        "Blomqvist Claesson Nordström Mårtensson Lundström Viklund Björklund Berggren Sandström Nordin Ström Åberg "
        "Hermansson Ekström Falk Holmgren Dahlberg Hellström Hedlund Sundberg Sjögren Ek Blom Abrahamsson "
        "Martinsson Öberg Andreasson Strand Månsson Åkesson Hansen Norberg Lindholm Dahl Jonasson Åström Öhman "
        "Ågren Älvgren"
    ),
)


def _of(language: str, girls: str, boys: str, last: str) -> Origin:
    return Origin(language, _names(girls), _names(boys), _names(girls), _names(boys), _names(last))


_OTHERS = (
    _of(
        "ara",
        "Fatima Mariam Layla Nour Yasmin Amina Salma Hala Rima Zeinab",
        "Ahmad Omar Yousef Ali Hassan Ibrahim Khaled Karim Sami Mustafa",
        "Al-Hassan Haddad Khalil Mansour Ibrahim Saleh Hamdan Najjar Aziz Darwish",
    ),
    _of(
        "som",
        "Hodan Ayaan Sahra Ifrah Halima Nasra Fartun Hibo",
        "Abdi Mohamed Yusuf Liban Guled Ayub Warsame Said",
        "Abdi Hassan Warsame Farah Ali Osman Jama Nur",
    ),
    _of(
        "fin",
        "Aino Helmi Eeva Päivi Kaisa Tuuli Sanna Hilla",
        "Eino Mikko Jussi Väinö Antti Timo Pekka Leevi",
        "Virtanen Korhonen Mäkinen Nieminen Hämäläinen Laine Heikkinen Järvinen",
    ),
    _of(
        "pol",
        "Zofia Maja Hanna Agnieszka Katarzyna Małgorzata Ewa Oliwia",
        "Jakub Antoni Paweł Tomasz Michał Piotr Stanisław Marek",
        "Nowak Kowalski Wiśniewski Wójcik Kamiński Lewandowski Zieliński Szymański",
    ),
    _of(
        "bos",
        "Amra Lejla Emina Selma Adna Azra Merima Dženana",
        "Emir Adnan Haris Tarik Damir Kenan Edin Amar",
        "Hodžić Begić Hadžić Kovačević Delić Halilović Mujić Softić",
    ),
    _of(
        "fas",
        "Shirin Nasrin Parisa Leila Mina Roya Azadeh Nilufar",
        "Reza Amir Dariush Kian Babak Arash Omid Farhad",
        "Ahmadi Hosseini Karimi Rahimi Moradi Rezaei Tehrani Jafari",
    ),
    _of(
        "kmr",
        "Berivan Zilan Rojda Evin Dilan Helin Nazdar Avin",
        "Azad Rojhat Baran Serhat Diyar Hozan Welat Rebin",
        "Aydin Demir Kaya Yildiz Özdemir Çelik Şahin Polat",
    ),
    _of(
        "spa",
        "Camila Valentina Lucía Sofía Paula Elena Inés Carmen",
        "Mateo Diego Santiago Andrés Joaquín Rafael Martín Pablo",
        "García Rodríguez González López Fernández Muñoz Rojas Vargas",
    ),
    _of(
        "tir",
        "Selam Feven Rahwa Senait Luwam Winta Hiwet Mebrat",
        "Yonas Filmon Abel Samuel Robel Isaias Tesfay Dawit",
        "Tesfay Habte Gebremedhin Kidane Tekle Haile Berhane Mehari",
    ),
)

ORIGINS = (_SWEDISH,) * 30 + _OTHERS
"""Origins, repeated by how common they are: three families in four have Swedish names."""

STREETS = _listed(
    "Storgatan Kyrkogatan Skolgatan Björkvägen Ängsvägen Granstigen Tallbacken Rönnvägen Åkergatan "
    "Järnvägsgatan Östergatan Västergatan Södergatan Norrgatan Parkvägen Ekvägen Solrosgatan Lingonvägen "
    "Blåbärsstigen Kvarngatan Hagvägen Sjövägen Backvägen Slottsgatan Trädgårdsgatan Älvgatan Bäckvägen "
    "Lärkvägen Svanstigen Ringvägen"
)

TOWNS = (
    Town("Uppsala", "0380", "752"),
    Town("Linköping", "0580", "582"),
    Town("Örebro", "1880", "702"),
    Town("Västerås", "1980", "722"),
    Town("Helsingborg", "1283", "252"),
    Town("Jönköping", "0680", "553"),
    Town("Norrköping", "0581", "602"),
    Town("Umeå", "2480", "903"),
    Town("Lund", "1281", "222"),
    Town("Borås", "1490", "503"),
    Town("Gävle", "2180", "802"),
    Town("Växjö", "0780", "352"),
    Town("Halmstad", "1380", "302"),
    Town("Karlstad", "1780", "652"),
    Town("Sundsvall", "2281", "852"),
    Town("Östersund", "2380", "831"),
    Town("Skellefteå", "2482", "931"),
    Town("Luleå", "2580", "972"),
    Town("Kalmar", "0880", "392"),
    Town("Malmö", "1280", "212"),
)

SCHOOL_STEMS = _listed(
    "Björk Ek Lind Gran Tall Rönn Sol Äng Backa Sjö Ås Norr Söder Öster Väster Hag Berg Dal Strand Kvarn Park "
    "Fågel Svan Lärk Vall Kung Slott Bruk Hamn Torp Lund Ask Alm Hassel Klöver Vitsipps Blåklocks Måne Stjärn "
    "Regnbågs"
)

DEPARTMENTS = _listed(
    "Blåbäret Lingonet Smultronet Hallonet Igelkotten Ekorren Räven Haren Ugglan Nyckelpigan Fjärilen Humlan"
)
"""What the groups of a preschool are called."""

CLUBS = ("Elevrådet", "Kören", "Schackklubben", "Läxhjälpen", "Skoltidningen", "Biblioteksrådet")

PROGRAMS = (
    ("NA", "Naturvetenskapsprogrammet"),
    ("SA", "Samhällsvetenskapsprogrammet"),
    ("TE", "Teknikprogrammet"),
    ("EK", "Ekonomiprogrammet"),
    ("ES", "Estetiska programmet"),
    ("BA", "Bygg- och anläggningsprogrammet"),
    ("VO", "Vård- och omsorgsprogrammet"),
    ("EE", "El- och energiprogrammet"),
)
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
