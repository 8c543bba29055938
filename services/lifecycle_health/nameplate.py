"""A serial number's nameplate as Asset Administration Shell: submodel IDTA 02006-3-0 Digital Nameplate, JSON of the
metamodel 3.0."""

from __future__ import annotations

import io
import json
from typing import Any, Final

from services.lifecycle_health import items_model as model

_TEMPLATE: Final = "https://admin-shell.io/IDTA 02006-3-0"
_NAMEPLATE: Final = "https://admin-shell.io/idta/nameplate/3/0/Nameplate"
_ADDRESS: Final = "https://admin-shell.io/zvei/nameplate/1/0/ContactInformations/AddressInformation"
# IEC CDD and ECLASS identifiers of the template's elements.
_MEANS: Final = {
    "URIOfTheProduct": ("0112/2///61987#ABN590#002", "0173-1#02-ABH173#003"),
    "ManufacturerName": ("0112/2///61987#ABA565#009", "0173-1#02-AAO677#004"),
    "ManufacturerProductDesignation": ("0112/2///61987#ABA567#009", "0173-1#02-AAW338#003"),
    "ManufacturerProductFamily": ("0112/2///61987#ABP464#002", "0173-1#02-AAU731#003"),
    "OrderCodeOfManufacturer": ("0112/2///61987#ABA950#008", "0173-1#02-AAO227#004"),
    "ProductArticleNumberOfManufacturer": ("0112/2///61987#ABA581#007", "0173-1#02-AAO676#005"),
    "SerialNumber": ("0112/2///61987#ABA951#009", "0173-1#02-AAM556#004"),
    "YearOfConstruction": ("0112/2///61987#ABP000#002", "0173-1#02-AAP906#003"),
    "CountryOfOrigin": ("0112/2///61987#ABP462#001", "0173-1#02-AAO259#007"),
}
_TEXTS: Final = ("ManufacturerName", "ManufacturerProductDesignation", "ManufacturerProductFamily")


def nameplate(item: model.Item, built_year: str | None) -> dict[str, Any]:
    """Attributes of the item fill what the template wants and we do not keep ourselves: ``order_code``,
    ``article_number``, ``country``, ``street``, ``zipcode``, ``city``."""
    # the SDK loads lxml and pyecma376: who shows no nameplate does not wait for them
    from basyx.aas import model as aas
    from basyx.aas.adapter.json import write_aas_json_file

    known = item.attributes
    values = {
        "URIOfTheProduct": item.identifier,
        "ManufacturerName": item.manufacturer,
        "ManufacturerProductDesignation": item.designation,
        "ManufacturerProductFamily": item.kind,
        "OrderCodeOfManufacturer": known.get("order_code") or known.get("gtin") or item.kind,
        "ProductArticleNumberOfManufacturer": known.get("article_number"),
        "SerialNumber": item.serial,
        "YearOfConstruction": built_year,
        "CountryOfOrigin": known.get("country"),
    }

    def reference(value: str) -> aas.ExternalReference:
        return aas.ExternalReference((aas.Key(aas.KeyTypes.GLOBAL_REFERENCE, value),))

    def element(name: str, value: str) -> aas.SubmodelElement:
        first, second = _MEANS[name]
        if name in _TEXTS:
            return aas.MultiLanguageProperty(
                name, aas.MultiLanguageTextType({"en": value}), semantic_id=reference(first),
                supplemental_semantic_id=[reference(second)],
            )  # fmt: skip
        kind = aas.datatypes.AnyURI if name == "URIOfTheProduct" else str
        return aas.Property(
            name, kind, kind(value), semantic_id=reference(first), supplemental_semantic_id=[reference(second)]
        )

    elements = [element(name, value) for name, value in values.items() if value]
    address = {"Street": known.get("street"), "Zipcode": known.get("zipcode"), "CityTown": known.get("city")}
    place = [
        aas.MultiLanguageProperty(name, aas.MultiLanguageTextType({"en": text}))
        for name, text in address.items()
        if text
    ]
    nation = aas.MultiLanguageProperty("NationalCode", aas.MultiLanguageTextType({"en": known.get("country", "ZZ")}))
    elements.append(
        aas.SubmodelElementCollection("AddressInformation", [*place, nation], semantic_id=reference(_ADDRESS))
    )
    submodel = aas.Submodel(
        f"{item.identifier}/nameplate",
        elements,
        id_short="Nameplate",
        administration=aas.AdministrativeInformation(version="3", revision="0", template_id=_TEMPLATE),
        semantic_id=reference(_NAMEPLATE),
    )
    shell = aas.AssetAdministrationShell(
        aas.AssetInformation(
            aas.AssetKind.INSTANCE,
            item.identifier,
            [aas.SpecificAssetId("serialNumber", item.serial), aas.SpecificAssetId("kind", item.kind)],
        ),
        f"{item.identifier}/aas",
        submodel={aas.ModelReference.from_referable(submodel)},
    )
    written = io.StringIO()
    write_aas_json_file(written, aas.DictIdentifiableStore([shell, submodel]))
    document = json.loads(written.getvalue())
    assert isinstance(document, dict)
    return document
