from . import figures as figures
from .export import export_figures as export_figures
from .export import export_tables as export_tables
from .page import comparison_html as comparison_html
from .page import report_html as report_html
from .page import write_comparison as write_comparison
from .page import write_report as write_report
